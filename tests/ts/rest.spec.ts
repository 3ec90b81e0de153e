import type { ServerConnection } from '@jupyterlab/services';

import type { IChange } from '../../src/data/provider';
import type { Request } from '../../src/data/rest';
import { RestProvider } from '../../src/data/rest';

const SETTINGS = {
  baseUrl: 'http://localhost/user/me/'
} as ServerConnection.ISettings;

interface IAsk {
  url: string;
  body: Record<string, unknown>;
  signal: AbortSignal;
  answer(body: unknown, status?: number): void;
  fail(): void;
}

/** A server whose every answer the test gives. */
function server() {
  const asks: IAsk[] = [];
  const request = ((url: string, init: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      const signal = init.signal as AbortSignal;
      signal?.addEventListener('abort', () => reject(new Error('aborted')));
      asks.push({
        url,
        body: JSON.parse(init.body as string),
        signal,
        answer: (body, status = 200) =>
          resolve({
            ok: status < 400,
            status,
            statusText: 'said',
            text: async () =>
              typeof body === 'string' ? body : JSON.stringify(body)
          } as Response),
        fail: () => reject(new TypeError('no route'))
      });
    })) as unknown as Request;
  return { asks, provider: new RestProvider(SETTINGS, request) };
}

const turn = () => jest.advanceTimersByTimeAsync(0);

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('a call over the server', () => {
  it('posts the arguments to the method', async () => {
    const { asks, provider } = server();
    const answer = provider.call('run', { run: 'r1' });
    expect(asks[0].url).toBe('http://localhost/user/me/modelnook/api/run');
    expect(asks[0].body).toEqual({ run: 'r1' });
    asks[0].answer({ id: 'r1' });
    await expect(answer).resolves.toEqual({ id: 'r1' });
  });

  it.each([
    [
      { code: 'core.near', message: 'No such run.', hint: 'Did you mean r1?' },
      404,
      { code: 'core.near', message: 'No such run.', hint: 'Did you mean r1?' }
    ],
    ['<html>', 404, { code: 'ui.error.no_server' }],
    ['<html>', 502, { code: 'ui.error.refused' }]
  ])('turns %j with %i into an error', async (body, status, error) => {
    const { asks, provider } = server();
    const answer = provider.call('run', { run: 'r' });
    asks[0].answer(body, status);
    await expect(answer).rejects.toMatchObject(error);
  });

  it('tells a lost server from a call that was given up', async () => {
    const { asks, provider } = server();
    const lost = provider.call('run', { run: 'r' });
    asks[0].fail();
    await expect(lost).rejects.toMatchObject({ code: 'ui.error.unreachable' });

    const end = new AbortController();
    const given = provider.call('run', { run: 'r' }, { signal: end.signal });
    end.abort();
    await expect(given).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('the change feed', () => {
  it('is one poll for all watchers and ends with the last of them', async () => {
    const { asks, provider } = server();
    const runs: IChange[] = [];
    const one: IChange[] = [];
    const stops = [
      provider.watch('runs', change => runs.push(change)),
      provider.watch('run:r1', change => one.push(change)),
      provider.watch('models', () => undefined)
    ];
    await turn();
    expect(asks).toHaveLength(1);
    expect(asks[0].body).toEqual({
      topics: ['models', 'runs'],
      cursor: null,
      wait: 0
    });
    asks[0].answer({ cursor: 7, changes: [] });
    await turn();
    expect(asks[1].body).toMatchObject({ cursor: 7, wait: 25 });
    asks[1].answer({ cursor: 9, changes: [{ topic: 'runs', id: 'r2' }] });
    await turn();
    expect(runs).toEqual([{ topic: 'runs', id: 'r2' }]);
    expect(one).toEqual([]);
    asks[2].answer({ cursor: 10, changes: [{ topic: 'runs', id: 'r1' }] });
    await turn();
    expect(one).toHaveLength(1);
    stops.forEach(stop => stop());
    await turn();
    expect(asks[3].signal.aborted).toBe(true);
    await jest.advanceTimersByTimeAsync(60000);
    expect(asks).toHaveLength(4);
  });

  it('waits longer after each failure and looks afresh once the server is back', async () => {
    const { asks, provider } = server();
    const seen: IChange[] = [];
    provider.watch('runs', change => seen.push(change));
    await turn();
    asks[0].fail();
    await jest.advanceTimersByTimeAsync(1000);
    expect(asks).toHaveLength(2);
    asks[1].answer('gone', 502);
    await jest.advanceTimersByTimeAsync(1000);
    expect(asks).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(1000);
    expect(asks).toHaveLength(3);
    expect(asks[2].body.cursor).toBeNull();
    asks[2].answer({ cursor: 1, changes: [] });
    await turn();
    expect(seen).toEqual([{ topic: 'runs', id: '*' }]);
    expect(asks[3].body).toMatchObject({ cursor: 1, wait: 25 });
    provider.pause();
    await turn();
  });

  it('looks afresh when the cursor goes back: another server answers', async () => {
    const { asks, provider } = server();
    const seen: IChange[] = [];
    provider.watch('runs', change => seen.push(change));
    await turn();
    asks[0].answer({ cursor: 50, changes: [] });
    await turn();
    asks[1].answer({ cursor: 2, changes: [] });
    await turn();
    expect(seen).toEqual([{ topic: 'runs', id: '*' }]);
    provider.pause();
    await turn();
  });

  it('rests while the host is paused', async () => {
    const { asks, provider } = server();
    const seen: IChange[] = [];
    provider.pause();
    provider.watch('runs', change => seen.push(change));
    await jest.advanceTimersByTimeAsync(5000);
    expect(asks).toHaveLength(0);
    provider.resume();
    await turn();
    expect(asks).toHaveLength(1);
    expect(seen).toEqual([{ topic: 'runs', id: '*' }]);
    provider.pause();
    await turn();
    expect(asks[0].signal.aborted).toBe(true);
  });

  it('does not spin on a server that answers at once', async () => {
    const { asks, provider } = server();
    provider.watch('runs', () => undefined);
    await turn();
    asks[0].answer({ cursor: 1, changes: [] });
    await turn();
    asks[1].answer({ cursor: 1, changes: [] });
    await jest.advanceTimersByTimeAsync(500);
    expect(asks).toHaveLength(2);
    await jest.advanceTimersByTimeAsync(600);
    expect(asks).toHaveLength(3);
    provider.pause();
    await turn();
  });
});
