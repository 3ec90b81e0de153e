import { act, fireEvent, waitFor } from '@testing-library/react';

import { RpcError } from '../../src/data/provider';
import type { Run } from '../../src/data/types';
import { text } from '../../src/text';
import { RUNS, recorded, stage } from './stage';

const RUNNING = RUNS.find(run => run.state === 'running') as Run;

/** The page of a running run with its log open, whose reads the test lets fail. */
async function opened() {
  const provider = recorded();
  const log = { fails: true, text: 'epoch 2\n' };
  provider.recording.log = ({ offset }) => {
    if (log.fails) {
      throw new RpcError('fake.down', 'Nobody answers.');
    }
    const rest = (offset ?? 0) < log.text.length ? log.text : '';
    return { text: rest, offset: log.text.length, end: false };
  };
  const screen = stage(
    'run',
    { run: RUNNING.id, compact: false },
    { provider }
  );
  await screen.findByTestId('mn-run');
  const title = text('en')('ui.run.log');
  const details = [...screen.container.querySelectorAll('details')].find(one =>
    one.querySelector('summary')?.textContent?.includes(title)
  ) as HTMLDetailsElement;
  details.open = true;
  fireEvent(details, new Event('toggle'));
  return { ...screen, provider, log };
}

describe("a run's log", () => {
  it('is back when a later read succeeds', async () => {
    const { provider, log, findByTestId, queryByTestId } = await opened();
    expect((await findByTestId('mn-error')).textContent).toContain('Nobody');
    log.fails = false;
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    expect((await findByTestId('mn-log')).textContent).toBe('epoch 2\n');
    expect(queryByTestId('mn-error')).toBeNull();
  });

  it('is read again when somebody asks', async () => {
    const { log, findByTestId, getByText, queryByTestId } = await opened();
    await findByTestId('mn-error');
    log.fails = false;
    fireEvent.click(getByText(text('en')('ui.action.retry')));
    expect((await findByTestId('mn-log')).textContent).toBe('epoch 2\n');
    expect(queryByTestId('mn-error')).toBeNull();
  });

  it('keeps what was read beside the error of a later read', async () => {
    const { provider, log, findByTestId, getByTestId } = await opened();
    await findByTestId('mn-error');
    log.fails = false;
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await findByTestId('mn-log');
    log.fails = true;
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(() => expect(getByTestId('mn-error')).toBeTruthy());
    expect(getByTestId('mn-log').textContent).toBe('epoch 2\n');
  });
});
