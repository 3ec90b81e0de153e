import type { IChange, Listener } from './provider';

const FEED: Record<string, string> = { run: 'runs', model: 'models' };
const FEEDS = new Set(['runs', 'models', 'sources']);

/**
 * Who listens to what. A change of `runs` with the id X reaches the listeners of `runs` and of `run:X`.
 */
export class Watchers {
  constructor(private _changed: () => void = () => undefined) {}

  /** Whether nobody listens. */
  get empty(): boolean {
    return this._listeners.size === 0;
  }

  /** The topics of the change feed that are listened to, sorted. */
  get feeds(): string[] {
    const feeds = [...this._listeners.keys()].map(topic => {
      const head = topic.split(':', 1)[0];
      return FEED[head] ?? head;
    });
    return [...new Set(feeds)].filter(feed => FEEDS.has(feed)).sort();
  }

  /** Listen; the answer ends it. */
  add(topic: string, listener: Listener): () => void {
    const own: Listener = change => listener(change);
    const listeners = this._listeners.get(topic) ?? new Set();
    this._listeners.set(topic, listeners.add(own));
    this._changed();
    return () => {
      listeners.delete(own);
      if (!listeners.size && this._listeners.get(topic) === listeners) {
        this._listeners.delete(topic);
      }
      this._changed();
    };
  }

  /** Tell those whom a change concerns. */
  emit(change: IChange): void {
    for (const [topic, listeners] of [...this._listeners]) {
      const [head, ...rest] = topic.split(':');
      const id = rest.join(':');
      const concerned =
        topic === change.topic ||
        (FEED[head] === change.topic &&
          (change.id === '*' || change.id === id));
      if (concerned) {
        [...listeners].forEach(listener => listener(change));
      }
    }
  }

  /** Tell everybody to look afresh. */
  emitAll(): void {
    this.feeds.forEach(topic => this.emit({ topic, id: '*' }));
  }

  private _listeners = new Map<string, Set<Listener>>();
}
