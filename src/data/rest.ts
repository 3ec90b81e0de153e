import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  ICallOptions,
  IDataProvider,
  IPausable,
  Listener,
  Method,
  Params,
  Result
} from './provider';
import { RpcError, aborted } from './provider';
import { Watchers } from './watchers';

const WAIT_S = 25;
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30000;

export type Request = typeof ServerConnection.makeRequest;

/**
 * Over the Jupyter server. All watchers share one long poll, which runs while somebody listens and nobody paused it.
 */
export class RestProvider implements IDataProvider, IPausable {
  constructor(
    private _settings: ServerConnection.ISettings,
    private _request: Request = ServerConnection.makeRequest
  ) {}

  readonly live = true;

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: ICallOptions = {}
  ): Promise<Result<M>> {
    const { signal } = options;
    const url = URLExt.join(this._settings.baseUrl, 'modelnook', 'api', method);
    let response: Response;
    let text: string;
    try {
      response = await this._request(
        url,
        { method: 'POST', body: JSON.stringify(params), signal },
        this._settings
      );
      text = await response.text();
    } catch (error) {
      throw signal?.aborted
        ? aborted()
        : new RpcError('ui.error.unreachable', String(error));
    }
    if (signal?.aborted) {
      throw aborted();
    }
    const body = parsed(text);
    if (!response.ok) {
      throw (
        RpcError.from(body) ??
        new RpcError(
          response.status === 404 ? 'ui.error.no_server' : 'ui.error.refused',
          `${response.status} ${response.statusText}`
        )
      );
    }
    return body as Result<M>;
  }

  watch(topic: string, listener: Listener): () => void {
    return this._watchers.add(topic, listener);
  }

  pause(): void {
    this._paused = true;
    this._settle();
  }

  resume(): void {
    if (this._paused) {
      this._paused = false;
      this._watchers.emitAll();
      this._settle();
    }
  }

  /** Start, stop or restart the poll, once, after all that happens in this turn. */
  private _settle(): void {
    if (this._settling) {
      return;
    }
    this._settling = true;
    queueMicrotask(() => {
      this._settling = false;
      const topics = this._paused ? [] : this._watchers.feeds;
      const key = topics.join();
      if (key === this._polling.key) {
        return;
      }
      this._polling.controller.abort();
      this._polling = { key, controller: new AbortController() };
      if (topics.length) {
        void this._poll(topics, this._polling.controller.signal);
      } else {
        this._cursor = null;
      }
    });
  }

  private async _poll(topics: string[], signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const fresh = this._cursor === null;
      const began = Date.now();
      try {
        const { cursor, changes } = await this.call(
          'events',
          { topics, cursor: this._cursor, wait: fresh ? 0 : WAIT_S },
          { signal }
        );
        const restarted = this._cursor !== null && cursor < this._cursor;
        this._cursor = cursor;
        if (failures || restarted) {
          this._watchers.emitAll();
        } else {
          changes.forEach(change => this._watchers.emit(change));
        }
        failures = 0;
        if (!fresh && !changes.length && Date.now() - began < 200) {
          await sleep(FIRST_DELAY_MS, signal); // a server that doesn't wait
        }
      } catch {
        if (signal.aborted) {
          return;
        }
        this._cursor = null;
        const delay = FIRST_DELAY_MS * 2 ** failures++;
        await sleep(Math.min(delay, LONGEST_DELAY_MS), signal);
      }
    }
  }

  private _watchers = new Watchers(() => this._settle());
  private _polling = { key: '', controller: new AbortController() };
  private _cursor: number | null = null;
  private _paused = false;
  private _settling = false;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
