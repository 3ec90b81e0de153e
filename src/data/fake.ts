import type {
  ICallOptions,
  IChange,
  IDataProvider,
  Listener,
  Method,
  Params,
  Result
} from './provider';
import { RpcError, aborted } from './provider';
import { Watchers } from './watchers';

/** A result for each method, or what makes one of the arguments. */
export type Recording = {
  [M in Method]?: Result<M> | ((params: Params<M>) => Result<M>);
};

/**
 * Over recorded JSON: for tests and for the demo page. Keeps every call in `calls`.
 */
export class FakeProvider implements IDataProvider {
  constructor(
    public recording: Recording,
    private _delay = 0
  ) {}

  live = true;

  readonly calls: { method: Method; params: unknown; signal?: AbortSignal }[] =
    [];

  readonly watchers = new Watchers();

  async call<M extends Method>(
    method: M,
    params: Params<M>,
    options: ICallOptions = {}
  ): Promise<Result<M>> {
    this.calls.push({ method, params, signal: options.signal });
    if (this._delay) {
      await new Promise(resolve => setTimeout(resolve, this._delay));
    }
    await Promise.resolve();
    if (options.signal?.aborted) {
      throw aborted();
    }
    const recorded: unknown = this.recording[method];
    if (recorded === undefined) {
      throw new RpcError('fake.missing', `Nothing recorded for '${method}'.`);
    }
    return (
      typeof recorded === 'function' ? recorded(params) : recorded
    ) as Result<M>;
  }

  watch(topic: string, listener: Listener): () => void {
    return this.watchers.add(topic, listener);
  }

  /** As if the other side had said so. */
  emit(change: IChange): void {
    this.watchers.emit(change);
  }
}
