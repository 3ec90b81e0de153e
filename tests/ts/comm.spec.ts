import type { IWidgetModel } from '../../src/data/comm';
import { CommProvider } from '../../src/data/comm';
import type { IChange } from '../../src/data/provider';

/** An anywidget model whose kernel is the test. */
class Model implements IWidgetModel {
  traits: Record<string, unknown> = { state: {}, live: true };
  sent: { id: string; method: string; params: unknown }[] = [];
  handlers = new Map<string, Set<(content: unknown) => void>>();

  get(name: string): unknown {
    return this.traits[name];
  }
  on(event: string, callback: (content: unknown) => void): void {
    const all = this.handlers.get(event) ?? new Set();
    this.handlers.set(event, all.add(callback));
  }
  off(event: string, callback: (content: unknown) => void): void {
    this.handlers.get(event)?.delete(callback);
  }
  send(content: unknown): void {
    this.sent.push(content as (typeof this.sent)[number]);
  }
  fire(event: string, content?: unknown): void {
    this.handlers.get(event)?.forEach(handler => handler(content));
  }
  set(name: string, value: unknown): void {
    this.traits[name] = value;
    this.fire(`change:${name}`);
  }
}

function connected(timeout = 1000) {
  const model = new Model();
  const end = new AbortController();
  return { model, end, provider: new CommProvider(model, end.signal, timeout) };
}

describe('over a comm', () => {
  it('asks the kernel and matches the answer by its id', async () => {
    const { model, provider } = connected();
    const first = provider.call('stop', { run: 'a' });
    const second = provider.call('stop', { run: 'b' });
    expect(model.sent[0]).toEqual({
      id: expect.any(String),
      method: 'stop',
      params: { run: 'a' }
    });
    model.fire('msg:custom', { id: model.sent[1].id, result: { id: 'b' } });
    model.fire('msg:custom', {
      id: model.sent[0].id,
      error: { code: 'jobs.gone', message: 'Gone.', hint: 'Look.' }
    });
    await expect(second).resolves.toEqual({ id: 'b' });
    await expect(first).rejects.toMatchObject({
      code: 'jobs.gone',
      hint: 'Look.'
    });
  });

  it('reads what was pushed without asking', async () => {
    const { model, provider } = connected();
    model.set('state', { 'run:a': { id: 'a', name: 'one' } });
    await expect(provider.call('run', { run: 'a' })).resolves.toEqual({
      id: 'a',
      name: 'one'
    });
    model.fire('msg:custom', { push: 'run:a', data: { id: 'a', name: 'two' } });
    await expect(provider.call('run', { run: 'a' })).resolves.toMatchObject({
      name: 'two'
    });
    expect(model.sent).toEqual([]);
  });

  it('tells its watchers of pushes, of changed state and of a freed kernel', () => {
    const { model, provider } = connected();
    const seen: IChange[] = [];
    const live: boolean[] = [];
    provider.watch('run:a', change => seen.push(change));
    provider.watch('live', () => live.push(provider.live));
    const run = { id: 'a' };
    model.set('state', { 'run:a': run, 'run:b': {} });
    model.set('state', { 'run:a': run, 'run:b': {} });
    model.fire('msg:custom', { push: 'history:a', data: {} });
    model.set('live', false);
    expect(seen).toEqual([
      { topic: 'runs', id: 'a' },
      { topic: 'runs', id: 'a' }
    ]);
    expect(live).toEqual([false]);
  });

  it('says after a while that the kernel does not answer', async () => {
    const { model, provider } = connected(20);
    const answer = provider.call('stop', { run: 'a' });
    await expect(answer).rejects.toMatchObject({ code: 'ui.error.no_answer' });
    model.fire('msg:custom', { id: model.sent[0].id, result: {} });
  });

  it('ends with its signal', async () => {
    const { model, end, provider } = connected();
    const answer = provider.call('stop', { run: 'a' });
    end.abort();
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
    expect([...model.handlers.values()].every(all => all.size === 0)).toBe(
      true
    );
  });
});
