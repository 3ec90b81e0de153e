import type {
  Changes,
  Facets,
  History,
  Log,
  RunList,
  SideBySide,
  SourceInfo
} from './answers';
import type { ErrorInfo, ModelInfo, Run, SearchResult } from './types';

/**
 * What the other side answers to: the arguments and the result of each method.
 */
export interface IMethods {
  search: {
    params: {
      query: string;
      task?: string;
      license?: string;
      language?: string;
      params?: string;
      format?: string;
      gated?: boolean;
      fits?: string;
      source?: string;
      sort?: string;
      limit?: number;
    };
    result: SearchResult;
  };
  facets: {
    params: {
      query: string;
      task?: string;
      license?: string;
      language?: string;
      params?: string;
      format?: string;
      gated?: boolean;
      source?: string;
    };
    result: Facets;
  };
  info: { params: { ref: string }; result: ModelInfo };
  runs: {
    params: {
      state?: string;
      kind?: string;
      model?: string;
      query?: string;
      limit?: number;
    };
    result: RunList;
  };
  run: { params: { run: string }; result: Run };
  history: { params: { run: string; points?: number }; result: History };
  log: { params: { run: string; offset?: number }; result: Log };
  stop: { params: { run: string }; result: Run };
  resume: { params: { run: string }; result: Run };
  delete: { params: { run: string }; result: Run };
  compare: { params: { refs: string[] }; result: SideBySide };
  sources: {
    params: Record<string, never>;
    result: { items: SourceInfo[] };
  };
  settings: {
    params: Record<string, unknown>;
    result: Record<string, unknown>;
  };
  events: {
    params: { topics: string[]; cursor: number | null; wait: number };
    result: Changes;
  };
}

export type Method = keyof IMethods;
export type Params<M extends Method> = IMethods[M]['params'];
export type Result<M extends Method> = IMethods[M]['result'];

/**
 * Something has changed: `topic` is `runs`, `models`, `sources` or `live`, `id` which one (`*`: any of them).
 */
export interface IChange {
  topic: string;
  id: string;
}

export type Listener = (change: IChange) => void;

export interface ICallOptions {
  /** Gives the call up; its promise then rejects with an AbortError. */
  signal?: AbortSignal;
}

/**
 * Where a view's data comes from: the Jupyter server, the kernel, or a recording.
 */
export interface IDataProvider {
  /** Ask for one thing. Rejects with an RpcError that a person can read. */
  call<M extends Method>(
    method: M,
    params: Params<M>,
    options?: ICallOptions
  ): Promise<Result<M>>;

  /** Be told when `topic` (`runs`, `run:ID`, `models`, `sources`, `live`) changes; call what it gives to end that. */
  watch(topic: string, listener: Listener): () => void;

  /** Whether a call is answered now; false while a kernel is busy with its cell. */
  readonly live: boolean;
}

/**
 * A provider that can be told that nobody is looking.
 */
export interface IPausable {
  /** Stop asking for changes. */
  pause(): void;

  /** Ask again, and tell every listener to look afresh. */
  resume(): void;
}

/**
 * An answer that says why not: `message` what went wrong, `hint` the one thing to do next.
 */
export class RpcError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = ''
  ) {
    super(message);
    this.name = 'RpcError';
  }

  /** Read `{code, message, hint}`, or undefined where it is something else. */
  static from(body: unknown): RpcError | undefined {
    const error = body as Partial<ErrorInfo> | null | undefined;
    if (!error || typeof error !== 'object' || !error.message) {
      return undefined;
    }
    return new RpcError(
      error.code ?? 'unknown',
      error.message,
      error.hint ?? ''
    );
  }
}

/** The error of a call that its caller gave up. */
export function aborted(): DOMException {
  return new DOMException('The call was given up.', 'AbortError');
}
