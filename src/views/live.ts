import * as React from 'react';

import type { Method, Params, Result } from '../data/provider';
import { RpcError } from '../data/provider';
import { useHost } from './host';

const GAP_MS = 500;

export interface ILive<T> {
  /** The newest answer; the last good one of the same thing while a newer is asked for. */
  value: T | undefined;
  error: RpcError | undefined;
  loading: boolean;
  reload(): void;
}

interface IAnswer<T> {
  key: string;
  /** What it is an answer about: another run's or model's is never shown in its place. */
  about: string;
  value?: T;
  error?: RpcError;
}

/** What was thrown, as something that can be shown; undefined where a call was only given up. */
export function shown(error: unknown): RpcError | undefined {
  if ((error as Error | undefined)?.name === 'AbortError') {
    return undefined;
  }
  return error instanceof RpcError
    ? error
    : new RpcError('ui.error.refused', String(error));
}

/** The method and the one thing that it is asked about; how a list is narrowed makes no other list of it. */
function aboutOf(method: Method, params: object | null): string {
  const { run, ref, refs } = (params ?? {}) as Record<string, unknown>;
  return JSON.stringify([method, run, ref, refs]);
}

/**
 * Calls a method now, when its arguments change and when one of the topics does (at most twice a second). A call
 * whose answer nobody waits for any more is aborted. `params` null: don't
 * call; nor is anything asked while the host is idle.
 */
export function useLive<M extends Method>(
  method: M,
  params: Params<M> | null,
  topics: string[] = []
): ILive<Result<M>> {
  const { provider, idle, t } = useHost();
  const [answer, setAnswer] = React.useState<IAnswer<Result<M>>>({
    key: '',
    about: ''
  });
  const again = React.useRef<() => void>(() => undefined);
  // Answers have sentences of the language that the labels are in.
  const key = JSON.stringify([method, params, t.lang]);
  const about = aboutOf(method, params);
  const watched = topics.join('\n');

  React.useEffect(() => {
    if (params === null || idle) {
      return;
    }
    const end = new AbortController();
    let busy = false;
    let stale = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const ask = async () => {
      if (busy || timer) {
        stale = true;
        return;
      }
      busy = true;
      stale = false;
      const asked: IAnswer<Result<M>> = { key, about };
      try {
        asked.value = await provider.call(method, params, {
          signal: end.signal
        });
      } catch (error) {
        asked.error = shown(error);
      }
      busy = false;
      if (end.signal.aborted) {
        return;
      }
      setAnswer(last => ({
        ...asked,
        value: asked.value ?? (last.about === about ? last.value : undefined)
      }));
      timer = setTimeout(() => {
        timer = undefined;
        if (stale) {
          void ask();
        }
      }, GAP_MS);
    };
    again.current = () => void ask();
    const stops = watched
      .split('\n')
      .filter(Boolean)
      .map(topic => provider.watch(topic, () => void ask()));
    void ask();

    return () => {
      end.abort();
      clearTimeout(timer);
      stops.forEach(stop => stop());
    };
  }, [provider, key, watched, idle]);

  const reload = React.useCallback(() => again.current(), []);
  return {
    value: answer.about === about ? answer.value : undefined,
    error: answer.key === key ? answer.error : undefined,
    loading: params !== null && answer.key !== key,
    reload
  };
}

/** A value that follows another once it has stood still for `ms`. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = React.useState(value);
  React.useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** Whether the other side answers now. */
export function useIsLive(): boolean {
  const { provider } = useHost();
  const [live, setLive] = React.useState(provider.live);
  React.useEffect(() => {
    setLive(provider.live);
    return provider.watch('live', () => setLive(provider.live));
  }, [provider]);
  return live;
}
