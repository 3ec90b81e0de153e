import type {
  ICallOptions,
  IDataProvider,
  Listener,
  Method,
  Params,
  Result
} from './provider';
import { RpcError, aborted } from './provider';
import { Watchers } from './watchers';

const TIMEOUT_MS = 10000;
const READS = new Set<Method>([
  'search',
  'facets',
  'info',
  'runs',
  'run',
  'history',
  'log',
  'compare'
]);

/**
 * What an anywidget model gives: traits, their changes, and messages.
 */
export interface IWidgetModel {
  get(name: string): unknown;
  on(event: string, callback: (content: unknown) => void): void;
  off(event: string, callback: (content: unknown) => void): void;
  send(content: unknown): void;
}

/** What the kernel sends: an answer to the call `id`, or a push. */
interface IMessage {
  id?: string;
  result?: unknown;
  error?: unknown;
  push?: string;
  data?: unknown;
}

interface IPending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/**
 * Over an anywidget comm. Reads are answered from what the kernel pushed (`state`, keyed `METHOD:ID`) and asked of
 * the kernel otherwise. Ends with `signal`.
 */
export class CommProvider implements IDataProvider {
  constructor(
    private _model: IWidgetModel,
    private _signal: AbortSignal,
    private _timeout = TIMEOUT_MS
  ) {
    const handlers: [string, (content: unknown) => void][] = [
      ['change:state', () => this._onState()],
      ['change:live', () => this._watchers.emit({ topic: 'live', id: '*' })],
      ['msg:custom', content => this._onMessage(content as IMessage)]
    ];
    handlers.forEach(([event, handler]) => _model.on(event, handler));
    _signal.addEventListener('abort', () => {
      handlers.forEach(([event, handler]) => _model.off(event, handler));
      [...this._pending.values()].forEach(one => one.reject(aborted()));
      this._pending.clear();
    });
    this._state = { ...(_model.get('state') as object) };
  }

  get live(): boolean {
    return this._model.get('live') !== false;
  }

  call<M extends Method>(
    method: M,
    params: Params<M>,
    options: ICallOptions = {}
  ): Promise<Result<M>> {
    const pushed = this._pushed(method, params);
    return pushed === undefined
      ? this._ask(method, params, options.signal)
      : Promise.resolve(pushed as Result<M>);
  }

  watch(topic: string, listener: Listener): () => void {
    return this._watchers.add(topic, listener);
  }

  private _pushed(method: Method, params: object): unknown {
    if (!READS.has(method)) {
      return undefined;
    }
    const { run, ref } = params as { run?: string; ref?: string };
    const id = run ?? ref;
    return this._state[id ? `${method}:${id}` : method];
  }

  private _ask<M extends Method>(
    method: M,
    params: Params<M>,
    signal?: AbortSignal
  ): Promise<Result<M>> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted || this._signal.aborted) {
        reject(aborted());
        return;
      }
      const id = `${++this._count}`;
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this._pending.delete(id);
      };
      const giveUp = () => {
        end();
        reject(aborted());
      };
      const timer = setTimeout(() => {
        end();
        reject(new RpcError('ui.error.no_answer', `${method}: no answer`));
      }, this._timeout);
      signal?.addEventListener('abort', giveUp);
      this._pending.set(id, {
        resolve: result => {
          end();
          resolve(result as Result<M>);
        },
        reject: error => {
          end();
          reject(error);
        }
      });
      this._model.send({ id, method, params });
    });
  }

  private _onMessage(content: IMessage | undefined): void {
    if (content?.push) {
      this._state[content.push] = content.data;
      this._tell(content.push);
      return;
    }
    const pending = this._pending.get(`${content?.id}`);
    if (content?.error) {
      pending?.reject(
        RpcError.from(content.error) ?? new RpcError('ui.error.refused', '')
      );
    } else {
      pending?.resolve(content?.result);
    }
  }

  private _onState(): void {
    const state = (this._model.get('state') ?? {}) as Record<string, unknown>;
    for (const [topic, value] of Object.entries(state)) {
      if (this._seen[topic] !== value) {
        this._state[topic] = value;
        this._tell(topic);
      }
    }
    this._seen = { ...state };
  }

  private _tell(topic: string): void {
    const [head, ...rest] = topic.split(':');
    const id = rest.join(':') || '*';
    const feed = head === 'info' || head === 'search' ? 'models' : 'runs';
    this._watchers.emit({ topic: feed, id });
  }

  private _watchers = new Watchers();
  private _pending = new Map<string, IPending>();
  private _state: Record<string, unknown>;
  private _seen: Record<string, unknown> = {};
  private _count = 0;
}
