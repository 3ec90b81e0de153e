import { waitFor } from '@testing-library/react';

import { FakeProvider } from '../../src/data/fake';
import { copy } from '../../src/hosts/browser';
import type { ViewName } from '../../src/views';
import { VIEWS } from '../../src/views';
import { legendOf, marksOf } from '../../src/views/compare';
import { extent } from '../../src/views/parts/scale';
import { stage } from './stage';

const PARAMS: Record<ViewName, Record<string, unknown>> = {
  catalog: {},
  compare: { refs: ['local:topics@1', 'local:topics-int8@1'] },
  'model-card': { ref: 'local:topics@1' },
  run: { run: 'r7f3a9c2' },
  runs: {},
  sidebar: { tab: 'runs' }
};

const NAMES = Object.keys(VIEWS) as ViewName[];

describe.each(NAMES)('the view %s', name => {
  it.each(['panel', 'cell'] as const)('mounts in a %s', async place => {
    const { container, queryAllByRole, provider, unmount } = stage(
      name,
      PARAMS[name],
      { place }
    );
    await waitFor(() => expect(container.textContent).toMatch(/topics/));
    expect(queryAllByRole('alert')).toHaveLength(0);
    unmount();
    expect(provider.watchers.empty).toBe(true);
  });

  it('speaks Chinese', async () => {
    const { container } = stage(name, PARAMS[name], { language: 'zh' });
    await waitFor(() => expect(container.textContent).toMatch(/topics/));
    expect(container.textContent).toMatch(/[\u4e00-\u9fff]{2}/);
    expect(container.textContent).not.toMatch(/\bui\.[a-z]/);
  });

  it('says what went wrong', async () => {
    const provider = new FakeProvider({});
    const { findAllByRole } = stage(name, PARAMS[name], { provider });
    const alerts = await findAllByRole('alert');
    expect(alerts[0].textContent).toMatch(/Nothing recorded/);
  });
});

describe('an axis', () => {
  it.each([
    [[0.994, 0.994], 0.25, [0.7455, 1]],
    [[0.2, 1], 0.1, [0.12, 1]],
    [[0, 0], 0.1, [0, 0.1]],
    [[-0.5, 0.5], 0.1, [-0.6, 0.6]],
    [[1, 3], 0.5, [0, 4]]
  ])('of %j has air, and ends where shares do', (values, air, [low, high]) => {
    const [from, to] = extent(values, air);
    expect(from).toBeCloseTo(low);
    expect(to).toBeCloseTo(high);
  });
});

describe('a comparison', () => {
  it('takes less of an error for the better', () => {
    const { marks } = marksOf({
      columns: ['name', 'rmse', 'p50_ms'],
      rows: [
        ['good', 0.1, 5],
        ['bad', 0.9, 6]
      ],
      primary_metric: 'rmse'
    } as Parameters<typeof marksOf>[0]);
    expect(marks.map(mark => mark.front)).toEqual([true, false]);
    expect(legendOf('rmse')).toBe('ui.compare.legend_lower');
  });
});

describe('the clipboard', () => {
  it('is written over plain http too, and nothing is said to be copied that is not', async () => {
    expect(navigator.clipboard).toBeUndefined();
    let taken = '';
    document.execCommand = () => {
      taken = (document.activeElement as HTMLTextAreaElement).value;
      return true;
    };
    expect(await copy('local:topics')).toBe(true);
    expect(taken).toBe('local:topics');
    document.execCommand = () => false;
    expect(await copy('local:topics')).toBe(false);
    expect(document.querySelector('textarea')).toBeNull();
  });
});
