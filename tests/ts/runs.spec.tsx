import { act, fireEvent, waitFor, within } from '@testing-library/react';

import { RpcError } from '../../src/data/provider';
import type { Figures } from '../../src/data/parts';
import type { Run } from '../../src/data/types';
import { text } from '../../src/text';
import { cameFrom } from '../../src/views/parts/run-state';
import { RUNS, recorded, stage } from './stage';

const RUNNING = RUNS.find(run => run.state === 'running') as Run;

function changing(run: Run) {
  const provider = recorded();
  const now = { run };
  provider.recording.run = () => now.run;
  provider.recording.runs = () => ({ items: [now.run], cursor: 1 });
  return { provider, now };
}

describe('a run', () => {
  it('follows what happens to it', async () => {
    const { provider, now } = changing(RUNNING);
    const { findByTestId, getByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const progress = await findByTestId('mn-progress');
    expect(progress.textContent).toContain('64 / 112');
    now.run = {
      ...RUNNING,
      progress: { ...RUNNING.progress!, step: 90 }
    };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(
      () =>
        expect(getByTestId('mn-progress').textContent).toContain('90 / 112'),
      { timeout: 3000 }
    );
    now.run = {
      ...RUNNING,
      state: 'finished',
      metrics: { accuracy: 0.97 }
    };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(
      () => expect(getByTestId('mn-run').dataset.state).toBe('finished'),
      { timeout: 3000 }
    );
    expect(getByTestId('mn-metrics').textContent).toContain('0.970');
  });

  it('tells the figures of this moment, and the time that is left', async () => {
    const { provider, now } = changing(RUNNING);
    const { findByTestId, container } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const figures = () =>
      Object.fromEntries(
        [...container.querySelectorAll('.mn-now > div')].map(pair => [
          pair.querySelector('dt')?.textContent,
          pair.querySelector('dd')?.textContent
        ])
      );
    await findByTestId('mn-as-table');
    expect(figures()).toEqual({
      Loss: '0.412',
      accuracy: '0.961',
      'Rows/s': '182.4',
      Epoch: '1.1/2'
    });
    const left = () => container.querySelector('.mn-eta')?.textContent;
    expect(left()).toBe('47 s left');
    const progress = { loss: 0.3, rows_per_s: 1500, epoch: 1.5, eta_s: 75 };
    now.run = { ...RUNNING, progress: { ...RUNNING.progress!, ...progress } };
    const values = { step: [56, 90], time: [1, 2], value: [0.955, 0.97] };
    provider.recording.history = {
      series: { eval_accuracy: values },
      total: 2
    };
    act(() => provider.emit({ topic: `run:${RUNNING.id}`, id: RUNNING.id }));
    await waitFor(
      () =>
        expect(figures()).toEqual({
          Loss: '0.300',
          accuracy: '0.970',
          'Rows/s': '1.5K',
          Epoch: '1.5/2'
        }),
      { timeout: 3000 }
    );
    expect(left()).toBe('1 min 15 s left');
  });

  it.each([
    ['en', 'Waits until run spam (r42) frees the device.'],
    ['zh', '等待运行 spam (r42) 释放设备。']
  ] as const)(
    'that waits names the run before it, in %s',
    async (language, said) => {
      const waiting = { ...RUNNING.progress!, phase: 'waiting' };
      const queued: Run = { ...RUNNING, state: 'queued', progress: waiting };
      const { provider, now } = changing(queued);
      const { findByText } = stage(
        'run',
        { run: RUNNING.id },
        { provider, language }
      );
      await findByText(text(language)('ui.run.queued'));
      const behind = { id: 'r42', name: 'spam' };
      now.run = { ...queued, progress: { ...waiting, behind } };
      act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
      await findByText(said, {}, { timeout: 3000 });
    }
  );

  it('of a publication tells the bytes sent, and can be stopped', async () => {
    const { provider } = changing({
      ...RUNNING,
      kind: 'publish',
      name: 'team:topics',
      progress: {
        ...RUNNING.progress!,
        phase: 'uploading',
        step: 20_000_000,
        total: 90_000_000
      }
    });
    const asked: string[] = [];
    provider.recording.stop = ({ run }) => {
      asked.push(String(run));
      return { ...RUNNING, stopping: true };
    };
    const { findByTestId, findByText } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const line = (await findByTestId('mn-progress')).textContent;
    expect(line).toContain('Uploading');
    expect(line).toMatch(/20(\.0)? MB \/ 90(\.0)? MB/);
    fireEvent.click(await findByText('Stop'));
    await waitFor(() => expect(asked).toEqual([RUNNING.id]));
  });

  it('shows the trials of a tuning, the best first, and what it gained', async () => {
    const { provider } = changing({
      ...RUNNING,
      kind: 'tune',
      state: 'finished',
      primary_metric: 'accuracy',
      report: {
        trials: [
          {
            number: 'default',
            state: 'finished',
            value: 0.8,
            seconds: 9,
            knobs: { learning_rate: 3e-5, method: 'full' }
          },
          {
            number: 1,
            state: 'pruned',
            value: 0.4,
            seconds: 3,
            knobs: { learning_rate: 1e-6, method: 'full' }
          },
          {
            number: 2,
            state: 'finished',
            value: 0.9,
            seconds: 9,
            knobs: { learning_rate: 0.00012345, method: 'full' }
          }
        ],
        importances: { learning_rate: 0.8, epochs: 0.2 },
        gain: {
          points: 0.031,
          interval: [0.01, 0.05],
          gained: true,
          rows: 200,
          default: 0.8,
          best: 0.831
        }
      }
    });
    const { findByTestId, getByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const table = await findByTestId('mn-trials');
    const rows = [...table.querySelectorAll('tbody tr')].map(
      row => row.textContent
    );
    expect(rows[0]).toContain('#2');
    expect(rows[1]).toContain('default');
    expect(rows[2]).toContain('ended early');
    // What is the same in all of them isn't a column.
    expect(table.querySelector('thead')?.textContent).not.toContain('method');
    expect(rows[0]).toContain('0.000123');
    expect(getByTestId('mn-gain').textContent).toContain('gained +3.1 points');
    const mattered = getByTestId('mn-importances');
    expect(mattered.tagName).toBe('TABLE');
    expect(
      [...mattered.querySelectorAll('tbody tr')].map(row => row.textContent)
    ).toEqual(['learning_rate80%', 'epochs20%']);
    expect(mattered.querySelectorAll('meter').length).toBe(2);
    expect(queryByTestId('mn-report')).toBeNull();
  });

  it('draws each trial of a tuning and the best so far, with a table of them', async () => {
    const { provider } = changing({
      ...RUNNING,
      kind: 'tune',
      state: 'finished',
      primary_metric: 'accuracy',
      report: { trials: [] }
    });
    const points = (value: (number | null)[]) => ({
      step: [0, 1, 2],
      time: [1, 2, 3],
      value
    });
    provider.recording.history = {
      series: {
        eval_accuracy: points([0.8, 0.7, 0.9]),
        best_accuracy: points([0.8, 0.8, 0.9])
      },
      total: 3
    };
    const { findAllByTestId, findByTestId, getByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const charts = await findAllByTestId('mn-chart');
    expect(charts.length).toBe(1);
    const said = charts[0].textContent + charts[0].innerHTML;
    expect(said).toContain('eval_accuracy');
    expect(said).toContain('best_accuracy');
    fireEvent.click(getByTestId('mn-as-table'));
    const rows = (await findByTestId('mn-history')).querySelectorAll(
      'tbody tr'
    );
    expect([...rows].map(row => row.textContent)).toEqual([
      expect.stringMatching(/^2.*0\.9.*0\.9/),
      expect.stringMatching(/^1.*0\.7.*0\.8/),
      expect.stringMatching(/^0.*0\.8.*0\.8/)
    ]);
  });

  it('shows what nothing beats of a tuning for several objectives', async () => {
    const one = (number: number, values: number[], quantize: string) => ({
      number,
      state: 'finished' as const,
      value: values[0],
      values,
      seconds: 9,
      knobs: { quantize }
    });
    const trials = [
      one(0, [0.9, 12, 9e7], 'none'),
      one(1, [0.8, 3, 2.3e7], 'int8'),
      one(2, [0.7, 12, 9e7], 'none')
    ];
    const front = [trials[1], trials[0]].map(({ number, values, knobs }) => ({
      number,
      values,
      knobs,
      holdout: values[0] - 0.01,
      interval: [0.6, 0.95] as [number, number],
      model: `local:many-${number}@1`
    }));
    const { provider } = changing({
      ...RUNNING,
      kind: 'tune',
      state: 'finished',
      report: { trials, front, objectives: ['accuracy', 'latency', 'size'] }
    });
    const { findByTestId, getByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const table = await findByTestId('mn-front');
    const rows = [...table.querySelectorAll('tbody tr')].map(
      row => row.textContent
    );
    expect(rows).toHaveLength(2);
    expect(rows[0]).toContain('#0');
    expect(rows[0]).toContain('0.890 (0.600–0.950)');
    expect(rows[1]).toContain('23 MB');
    expect(rows[1]).toContain('int8');
    expect(rows[1]).toContain('local:many-1@1');
    const chart = getByTestId('mn-scatter');
    expect(chart.querySelectorAll('circle')).toHaveLength(3);
    expect(chart.querySelectorAll('.mn-mark-front')).toHaveLength(2);
    expect(chart.querySelector('svg')?.getAttribute('aria-label')).toContain(
      '#1: accuracy 0.800, 3'
    );
  });

  it.each([
    ['accuracy', 'Higher is better'],
    ['loss', 'Lower is better']
  ])('says of a front by %s: %s', async (quality, legend) => {
    const front = [{ number: 0, values: [0.5, 9e6], knobs: {} }];
    const { provider } = changing({
      ...RUNNING,
      kind: 'tune',
      state: 'finished',
      report: { trials: [], front, objectives: [quality, 'size'] }
    });
    const { findByText } = stage('run', { run: RUNNING.id }, { provider });
    expect(await findByText(legend, { exact: false })).toBeTruthy();
  });

  it('tells the interval and the time to load, before and after', async () => {
    const quantized = RUNS.find(run => run.kind === 'quantize') as Run;
    const report = quantized.report as { before: Figures; after: Figures };
    const { provider } = changing({
      ...quantized,
      report: {
        ...report,
        before: { ...report.before, load_s: 0.413 },
        after: { ...report.after, load_s: 0.062 }
      }
    });
    const { findByTestId } = stage('run', { run: quantized.id }, { provider });
    const table = await findByTestId('mn-report');
    const line = (name: string) =>
      [...table.querySelectorAll('tr')]
        .find(row => row.querySelector('th')?.textContent === name)
        ?.textContent?.replace(/\s/g, ' ');
    expect(line('accuracy')).toContain('0.9730.952–0.989');
    expect(line('accuracy')).toContain('0.9710.948–0.987');
    expect(line('Time to load')).toContain('413 ms');
    expect(line('Time to load')).toContain('62 ms');
  });

  it('shows an evaluation, whose report has other tables', async () => {
    const { provider } = changing({
      ...RUNNING,
      kind: 'evaluate',
      state: 'finished',
      report: { data: 'validation' }
    });
    const { findByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    await findByTestId('mn-run');
    expect(queryByTestId('mn-report')).toBeNull();
  });

  it('shows what a colleague computed with, beside the parameters', async () => {
    const { provider } = changing({
      ...RUNNING,
      state: 'finished',
      origin: 'team',
      params: { learning_rate: 0.0005 },
      environment: {
        python: '3.12.1',
        system: 'Linux x86_64',
        hardware: '2 × NVIDIA H100 80GB HBM3',
        packages: { torch: '2.9.1', transformers: '5.2.0' }
      }
    });
    const { findByTestId, findByText } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    const said = (await findByTestId('mn-environment')).textContent;
    for (const part of ['2 packages', '3.12.1', 'torch', '2.9.1']) {
      expect(said).toContain(part);
    }
    await findByText('2 × NVIDIA H100 80GB HBM3');
    await findByText('learning_rate');
  });

  it('says why the curves of a run elsewhere are not there', async () => {
    const { provider } = changing({ ...RUNNING, origin: 'wandb' });
    const note = 'The curves are at W&B. Look at https://wandb.example/r';
    provider.recording.history = { series: {}, total: 0, note };
    const { findByTestId } = stage('run', { run: RUNNING.id }, { provider });
    const said = await findByTestId('mn-no-curves');
    expect(said.textContent).toBe(note);
  });

  it('says before its first step what it takes, and no longer once it has ended', async () => {
    const plan = {
      method: 'last-k',
      reason: 'last-k: full would take too long',
      rows: 1800,
      held_out: 200,
      batch_size: 16,
      tokens_lost: 0.021,
      memory: 9e8,
      memory_free: 12e9,
      seconds: [30, 80] as [number, number],
      disk: 7e8,
      disk_free: null
    };
    const progress = { ...RUNNING.progress!, eta_s: null };
    const { provider, now } = changing({ ...RUNNING, plan, progress });
    const { findByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider, place: 'cell' }
    );
    const said = (await findByTestId('mn-plan')).textContent;
    for (const part of [
      plan.reason,
      '1,800 train, 200 validate',
      '900 MB of 12 GB free',
      '700 MB',
      '2.1%',
      '30 s to 1 min 20 s'
    ]) {
      expect(said).toContain(part);
    }
    // Its own pace, once it has one, takes the place of what was said before.
    now.run = { ...now.run, progress: { ...progress, eta_s: 407 } };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(
      () =>
        expect(queryByTestId('mn-plan')!.textContent).not.toContain('30 s to'),
      { timeout: 3000 }
    );
    now.run = { ...now.run, state: 'finished' };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(() => expect(queryByTestId('mn-plan')).toBeNull(), {
      timeout: 3000
    });
  });

  it.each([
    [
      { mode: 'online', project: 'lab', url: null, path: null, synced: false },
      'project lab'
    ],
    [{ mode: 'offline', url: null, path: null, synced: false }, 'offline'],
    [null, 'Not logged']
  ] as const)('says first where it is logged', async (wandb, said) => {
    const { provider, now } = changing({ ...RUNNING, wandb });
    const { findByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider, place: 'cell' }
    );
    const line = await findByTestId('mn-planned');
    expect(line.textContent).toContain(said);
    now.run = { ...now.run, state: 'finished' };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(() => expect(queryByTestId('mn-planned')).toBeNull(), {
      timeout: 3000
    });
  });

  it('is stopped without a question, and says so until it has ended', async () => {
    const { provider, now } = changing(RUNNING);
    provider.recording.stop = () => RUNNING;
    const { findByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider, place: 'cell' }
    );
    const stop = (await findByTestId('mn-stop')) as HTMLButtonElement;
    fireEvent.click(stop);
    await waitFor(() => expect(stop.textContent).toBe('Stopping…'));
    expect(stop.disabled).toBe(true);
    expect(provider.calls).toContainEqual(
      expect.objectContaining({ method: 'stop', params: { run: RUNNING.id } })
    );
    now.run = { ...RUNNING, state: 'stopped' };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    await waitFor(() => expect(queryByTestId('mn-stop')).toBeNull(), {
      timeout: 3000
    });
  });

  it('says that a baseline was not beaten', async () => {
    const { provider, now } = changing(RUNNING);
    now.run = {
      ...RUNNING,
      state: 'finished',
      task: 'text-classification',
      metrics: { accuracy: 0.967 },
      baselines: { tfidf: { accuracy: 0.976 }, majority: { accuracy: 0.2 } },
      primary_metric: 'accuracy'
    };
    const { findByText, queryByText } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    expect(
      await findByText('Not better than the baseline TF-IDF (0.976).')
    ).toBeTruthy();
    const command = `%model runs rerun ${RUNNING.id} --method tfidf --name ${RUNNING.name}-tfidf`;
    expect(await findByText(command)).toBeTruthy();
    expect(queryByText(/less than these rows can tell/)).toBeNull();
    now.run = { ...now.run, intervals: { accuracy: [0.95, 0.98] } };
    act(() => provider.emit({ topic: 'runs', id: RUNNING.id }));
    expect(
      await findByText(/less than these rows can tell/, {}, { timeout: 3000 })
    ).toBeTruthy();
  });

  it('offers no baseline that is no better', async () => {
    const { provider } = changing({
      ...RUNNING,
      state: 'finished',
      task: 'text-classification',
      metrics: { accuracy: 0.976 },
      baselines: { tfidf: { accuracy: 0.976 } },
      primary_metric: 'accuracy'
    });
    const { findByText, queryByText } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    await findByText('Not better than the baseline TF-IDF (0.976).');
    expect(queryByText(/--method/)).toBeNull();
  });

  it('gives the button back where the stop was refused', async () => {
    const { provider } = changing(RUNNING);
    provider.recording.stop = () => {
      throw new RpcError('jobs.gone', 'It is gone.', 'Look at the list.');
    };
    const { findByTestId, findByRole } = stage(
      'run',
      { run: RUNNING.id },
      { provider }
    );
    fireEvent.click(await findByTestId('mn-stop'));
    expect((await findByRole('alert')).textContent).toContain(
      'Look at the list.'
    );
    expect((await findByTestId('mn-stop')).textContent).toBe('Stop');
  });

  it('says that Kernel > Interrupt stops it while the kernel is busy', async () => {
    const { provider } = changing(RUNNING);
    provider.live = false;
    const { findByTestId, queryByTestId } = stage(
      'run',
      { run: RUNNING.id },
      { provider, place: 'cell' }
    );
    expect((await findByTestId('mn-interrupt')).textContent).toContain(
      'Kernel > Interrupt'
    );
    provider.live = true;
    act(() => provider.emit({ topic: 'live', id: '*' }));
    expect(queryByTestId('mn-interrupt')).toBeNull();
  });

  it('has a table of what the chart shows', async () => {
    const { findAllByTestId, getByTestId } = stage('run', {
      run: RUNNING.id
    });
    expect(await findAllByTestId('mn-chart')).toHaveLength(2);
    fireEvent.click(getByTestId('mn-as-table'));
    expect(
      within(getByTestId('mn-history')).getByText('eval_accuracy')
    ).toBeTruthy();
  });

  it('gives training and what decides the first colour, as the finished card does', async () => {
    const { provider } = changing({ ...RUNNING, primary_metric: 'f1' });
    const of = (...value: number[]) => ({ step: [1, 2], time: [1, 2], value });
    provider.recording.history = {
      series: {
        eval_accuracy: of(0.1, 0.2),
        eval_f1: of(0.3, 0.4),
        eval_loss: of(1, 2),
        loss: of(3, 4)
      },
      total: 8
    };
    const { findAllByTestId } = stage('run', { run: RUNNING.id }, { provider });
    const legends = (await findAllByTestId('mn-chart')).map(chart =>
      [...chart.querySelectorAll('.mn-legend-item')].map(item => [
        item.querySelector('path')?.getAttribute('class'),
        item.textContent
      ])
    );
    expect(legends).toEqual([
      [
        ['mn-line mn-line-0', 'loss4'],
        ['mn-line mn-line-1', 'eval_loss2']
      ],
      [
        ['mn-line mn-line-0', 'eval_f10.400'],
        ['mn-line mn-line-1', 'eval_accuracy0.200']
      ]
    ]);
  });

  it.each([
    ['panel', ['first'], 'Further warnings: 2'],
    ['cell', [], 'Warnings: 3']
  ] as const)(
    'folds warnings in a %s, and says what was taken',
    async (place, shown, folded) => {
      const { provider } = changing({
        ...RUNNING,
        method: 'auto',
        params: { method: 'full' },
        warnings: ['first', 'second', 'third']
      });
      const { findByTestId, getByTestId, queryByText, container } = stage(
        'run',
        { run: RUNNING.id },
        { provider, place }
      );
      const box = await findByTestId('mn-warnings');
      expect(box.querySelector('summary')?.textContent).toBe(folded);
      expect((box as HTMLDetailsElement).open).toBe(false);
      const open = [...container.querySelectorAll('.mn-notice-warn')].filter(
        one => !box.contains(one)
      );
      expect(open.map(one => one.textContent)).toEqual(shown);
      if (place === 'panel') {
        const facts = getByTestId('mn-run').querySelectorAll('dt');
        const method = [...facts].find(one => one.textContent === 'Method');
        expect(method?.nextElementSibling?.textContent).toBe('full');
        expect(queryByText('Text classification')).toBeTruthy();
      }
    }
  );

  it('reads values out under the arrow keys', async () => {
    const { findAllByTestId } = stage('run', { run: RUNNING.id });
    const [chart] = await findAllByTestId('mn-chart');
    fireEvent.keyDown(within(chart).getByRole('img'), { key: 'Home' });
    expect(within(chart).getByRole('status').textContent).toBe('step 2');
  });

  it('shows all that a quantizing run tried, as chart and table', async () => {
    const { findByTestId, queryByTestId, unmount } = stage('run', {
      run: 'r11b0d4e'
    });
    const table = await findByTestId('mn-candidates');
    const rows = within(table).getAllByRole('row').slice(1);
    // What a narrow table has no columns for stands below each.
    expect(rows.map(row => row.textContent)).toEqual([
      expect.stringMatching(/^onnx int8(?!.*taken).*−1\.5−2\.6 … −0\.4/),
      'Latency p95 4.6 ms · Time to load 81 ms · Peak memory 212 MB',
      expect.stringMatching(/^openvino int8(?!.*taken).*−0\.1−0\.9 … \+0\.6/),
      'Latency p95 5.2 ms · Time to load 240 ms · Peak memory 268 MB',
      expect.stringMatching(/^onnx int8 per_channel · taken.*−0\.2/),
      'Latency p95 4.9 ms · Time to load 84 ms · Peak memory 213 MB'
    ]);
    expect(within(table).getAllByTitle('95% interval')).toHaveLength(3);
    for (const more of table.querySelectorAll<HTMLTableCellElement>(
      '.mn-more > td'
    )) {
      expect(more.colSpan).toBe(
        within(table).getAllByRole('columnheader').length
      );
    }
    const chart = within(await findByTestId('mn-scatter')).getByRole('img');
    expect(chart.getAttribute('aria-label')).toContain('original: accuracy');
    // Each of them is the best in something: quality, size or latency.
    expect(chart.querySelectorAll('circle')).toHaveLength(4);
    expect(chart.querySelectorAll('.mn-mark-front')).toHaveLength(4);
    unmount();
    const other = stage('run', { run: 'r7f3a9c2' });
    await other.findByTestId('mn-delete');
    expect(queryByTestId('mn-candidates')).toBeNull();
  });

  it('numbers what has no room for its name, and stacks by the headings', async () => {
    const quantized = RUNS.find(one => one.id === 'r11b0d4e') as Run;
    const report = quantized.report!;
    const near = report.attempts!.map((one, at) => ({
      ...one,
      value: 0.97,
      p50_ms: 4 + 0.1 * at
    }));
    const { findByTestId, getByText } = stage(
      'run',
      { run: quantized.id },
      changing({ ...quantized, report: { ...report, attempts: near } })
    );
    const legend = await findByTestId('mn-scatter-legend');
    expect(legend.textContent).toContain('0: original');
    expect(legend.textContent).toContain('3: onnx int8 per_channel · taken');
    const texts = [
      ...(await findByTestId('mn-scatter')).querySelectorAll('.mn-mark-name')
    ].map(one => one.textContent);
    expect(texts.length).toBeGreaterThan(1);
    texts.forEach(one => expect(one).toMatch(/^[0-3]$/));
    getByText(/best in rows a second and a single row's latency together/);
    const table = await findByTestId('mn-candidates');
    const [heads, first] = [...table.querySelectorAll('tr')];
    expect(
      [...first.querySelectorAll('td')].map(cell => cell.dataset.name)
    ).toEqual([...heads.children].slice(1).map(head => head.textContent));
  });

  it('has options in its warnings, and no row for a W&B that has nothing of it', async () => {
    const quantized = RUNS.find(one => one.id === 'r11b0d4e') as Run;
    const { findByTestId } = stage(
      'run',
      { run: quantized.id },
      changing({
        ...quantized,
        wandb: {
          mode: 'offline',
          project: 'modelnook',
          url: null,
          path: null,
          synced: false
        },
        warnings: [
          'budget="1m" ends it earlier; max_drop=… or max_drop=0.02 allows more; columns={"question": …, "context": …} or again=True.'
        ]
      })
    );
    const card = await findByTestId('mn-run');
    expect(card.querySelector('.mn-warnings')?.textContent).toBe(
      '--budget 1m ends it earlier; --max-drop … or --max-drop 0.02 allows more; --columns question=…,context=… or --again.'
    );
    const names = [...card.querySelectorAll('dt')].map(one => one.textContent);
    expect(names).toContain('Run');
    expect(names).not.toContain('W&B');
  });

  it('says where each was measured once one of them ran elsewhere than on a CPU', async () => {
    const quantized = RUNS.find(one => one.id === 'r11b0d4e') as Run;
    const report = quantized.report!;
    const onCard = {
      ...report,
      before: { ...report.before!, device: 'cuda' },
      attempts: report.attempts!.map((one, at) =>
        at ? one : { ...one, device: 'cuda' }
      )
    };
    const { findByTestId } = stage(
      'run',
      { run: quantized.id },
      changing({ ...quantized, report: onCard })
    );
    const rows = within(await findByTestId('mn-candidates'))
      .getAllByRole('row')
      .map(row => row.textContent);
    expect(rows.filter(row => /· Device cuda$/.test(row ?? ''))).toHaveLength(
      1
    );
    expect(rows.filter(row => /· Device cpu$/.test(row ?? ''))).toHaveLength(2);
    const sides = within(await findByTestId('mn-report')).getAllByRole('row');
    expect(sides[sides.length - 1].textContent).toBe('Devicecudacpu');
  });

  it('tells of a metric of which less is better what got worse, in percent where it has no scale', async () => {
    const quantized = RUNS.find(one => one.id === 'r11b0d4e') as Run;
    const report = quantized.report!;
    const of = <Side extends object>(side: Side, rmse: number) => ({
      ...side,
      metrics: { rmse },
      intervals: {}
    });
    const { findByTestId } = stage(
      'run',
      { run: quantized.id },
      changing({
        ...quantized,
        report: {
          ...report,
          metric: 'rmse',
          before: of(report.before!, 0.4),
          after: of(report.after!, 0.38)
        }
      })
    );
    within(await findByTestId('mn-candidates')).getByText('Change in %');
    const row = within(await findByTestId('mn-report')).getByText('rmse');
    expect(row.closest('tr')!.querySelector('.mn-good')).not.toBeNull();
  });

  it('shows what each step of a chain left, and no table of one step', async () => {
    const side = (bytes: number, accuracy: number) => ({
      bytes,
      p50_ms: 4,
      p95_ms: 6,
      rows_per_s: 800,
      load_s: 0.2,
      peak_memory_bytes: 3e8,
      metrics: { accuracy },
      intervals: {
        accuracy: [accuracy - 0.01, accuracy + 0.01] as [number, number]
      }
    });
    const steps = [
      { step: 'trim', before: side(9e7, 0.98), after: side(3e7, 0.975) },
      {
        step: 'int8',
        before: side(3e7, 0.975),
        after: side(8e6, 0.97),
        backend: 'onnx'
      }
    ];
    const report = {
      before: steps[0].before,
      after: steps[1].after,
      metric: 'accuracy'
    };
    const chain = (told: typeof steps) =>
      stage(
        'run',
        { run: RUNNING.id },
        changing({
          ...RUNNING,
          kind: 'shrink',
          report: { ...report, steps: told }
        })
      );
    const { findByTestId, unmount } = chain(steps);
    const table = await findByTestId('mn-steps');
    const more = 'Latency p95 6 ms · Time to load 200 ms · Peak memory 300 MB';
    const rows = within(table).getAllByRole('row').slice(1);
    expect(rows.map(row => row.textContent)).toEqual([
      expect.stringMatching(/^original0\.9800\.970–0\.990/),
      more,
      expect.stringMatching(/^trim0\.9750\.965–0\.985/),
      more,
      expect.stringMatching(/^int8 \(onnx\)0\.9700\.960–0\.980/),
      more
    ]);
    unmount();
    const one = chain(steps.slice(0, 1));
    await one.findByTestId('mn-report');
    expect(one.queryByTestId('mn-steps')).toBeNull();
    one.unmount();
    // Of a chain that goes on, or was refused, the steps that are done.
    const { before, metric } = report;
    const going = stage(
      'run',
      { run: RUNNING.id },
      changing({ ...RUNNING, report: { before, metric, steps: [steps[0]] } })
    );
    await going.findByTestId('mn-steps');
  });

  it('tells of an export how it answers beside the model, and the tolerance', async () => {
    const report = {
      format: 'onnx',
      equal: 1,
      max_difference: 1.2e-6,
      tolerance: 0.001,
      rows: 128,
      bytes: 9.1e7,
      path: '/home/ann/topics-onnx'
    };
    const told = async (more: object) => {
      const run = { ...RUNNING, report: { ...report, ...more } };
      const { findByTestId, unmount } = stage(
        'run',
        { run: RUNNING.id },
        changing({ ...run, kind: 'export' })
      );
      const text = (await findByTestId('mn-parity')).textContent;
      unmount();
      return text;
    };
    expect(await told({})).toBe(
      'Same answers100.0%Largest difference1.2e-6 (tolerance 0.001)Rows128' +
        'Formatonnx' +
        'Size91 MBWritten to/home/ann/topics-onnx'
    );
    // Texts are the same or not.
    expect(await told({ max_difference: null })).not.toContain('tolerance');
  });

  it('takes nobody away from another page when it is deleted', async () => {
    let gone: (run: Run) => void = () => undefined;
    const provider = recorded();
    const call = provider.call.bind(provider);
    provider.call = ((method, ...rest) =>
      method === 'delete'
        ? new Promise(done => (gone = done as typeof gone))
        : call(method, ...rest)) as typeof provider.call;
    const { findByTestId, findAllByTestId, getByTestId, container } = stage(
      'runs',
      {},
      { provider }
    );
    await findAllByTestId('mn-run-row');
    const open = (id: string) =>
      fireEvent.click(
        container.querySelector(`[data-run="${id}"] .mn-run-open`) as Element
      );
    open('r7f3a9c2');
    const button = await findByTestId('mn-delete');
    fireEvent.click(button);
    fireEvent.click(button);
    fireEvent.click(getByTestId('mn-back'));
    open('r11b0d4e');
    await findByTestId('mn-run');
    await act(async () => gone(RUNS[0]));
    expect(container.querySelector('[data-testid="mn-run"]')).not.toBeNull();
  });

  it('is deleted only when asked twice', async () => {
    const provider = recorded();
    provider.recording.delete = ({ run }) =>
      RUNS.find(one => one.id === run) as Run;
    const { findByTestId } = stage('run', { run: 'r7f3a9c2' }, { provider });
    const button = await findByTestId('mn-delete');
    const deletes = () =>
      provider.calls.filter(call => call.method === 'delete').length;
    fireEvent.click(button, { detail: 1 });
    fireEvent.click(button, { detail: 2 });
    expect(deletes()).toBe(0);
    fireEvent.click(button, { detail: 1 });
    expect(deletes()).toBe(1);
    await waitFor(() =>
      expect((button as HTMLButtonElement).disabled).toBe(false)
    );
  });
});

describe('the run history', () => {
  it('shows what each run came to, and reads nothing of a foreign one but its record', async () => {
    const { findAllByTestId } = stage('runs');
    const rows = await findAllByTestId('mn-run-row');
    const row = (id: string) =>
      rows.find(one => one.dataset.run === id) as HTMLElement;
    expect(row('r7f3a9c2').textContent).toContain('0.973');
    expect(within(row('r9aa21c0')).getByTestId('mn-stop')).toBeTruthy();
    expect(within(row('r60crash')).getByTestId('mn-resume')).toBeTruthy();
    expect(row('wb_colleague').textContent).toContain('from W&B');
    expect(
      within(row('wb_colleague')).queryByRole('button', { name: /Stop|Resume/ })
    ).toBeNull();
  });

  it('draws a small chart in the row of each training', async () => {
    // Rows ask for their curve once they are seen, and here nothing is.
    const observer = window.IntersectionObserver;
    Reflect.deleteProperty(window, 'IntersectionObserver');
    const { findAllByTestId } = stage('runs');
    await findAllByTestId('mn-spark');
    const drawn = new Map(
      (await findAllByTestId('mn-run-row')).map(row => [
        row.dataset.run,
        within(row).queryByTestId('mn-spark')
      ])
    );
    const line = drawn.get('r9aa21c0');
    expect(line?.getAttribute('aria-label')).toBe('Course of loss');
    expect(
      line?.querySelector('path')?.getAttribute('d')?.split('L')
    ).toHaveLength(32);
    // Beside a figure stands that figure's own course.
    expect(drawn.get('r7f3a9c2')?.getAttribute('aria-label')).toBe(
      'Course of eval_accuracy'
    );
    expect(drawn.get('r7f3a9c2')?.textContent).toBe('Course of eval_accuracy');
    expect(drawn.get('r60crash')).toBeNull();
    // Nothing to draw: it waits, or measured what another had trained.
    expect(drawn.get('r8000001')).toBeNull();
    expect(drawn.get('r77cmp01')).toBeNull();
    window.IntersectionObserver = observer;
  });

  it('says where the run of a colleague came from', () => {
    const from = (origin: string) => cameFrom({ origin } as Run, text('en'));
    expect(from('wandb')).toBe('from W&B');
    expect(from('team')).toBe('from team');
  });

  it('is walked with the arrow keys', async () => {
    const { findAllByTestId, container } = stage('runs');
    await findAllByTestId('mn-run-row');
    const rows = container.querySelectorAll<HTMLElement>('.mn-run-open');
    rows[0].focus();
    fireEvent.keyDown(rows[0], { key: 'ArrowDown' });
    expect(document.activeElement).toBe(rows[1]);
  });

  it('opens a run and comes back', async () => {
    const { findAllByTestId, findByTestId, getByTestId, container } =
      stage('runs');
    await findAllByTestId('mn-run-row');
    const row = container.querySelector('[data-run="r7f3a9c2"] .mn-run-open');
    fireEvent.click(row as Element);
    expect((await findByTestId('mn-run')).textContent).toContain('topics');
    fireEvent.click(getByTestId('mn-back'));
    await waitFor(() => expect(document.activeElement).toBe(row));
  });

  it('compares the chosen ones', async () => {
    const {
      findAllByTestId,
      findByTestId,
      getByTestId,
      getByLabelText,
      provider
    } = stage('runs');
    await findAllByTestId('mn-run-row');
    fireEvent.click(getByTestId('mn-choose'));
    fireEvent.click(getByLabelText('Compare topics'));
    fireEvent.click(getByLabelText('Compare topics-int8'));
    fireEvent.click(getByTestId('mn-compare-chosen'));
    await findByTestId('mn-compare');
    expect(provider.calls).toContainEqual(
      expect.objectContaining({
        method: 'compare',
        params: { refs: ['local:topics@1', 'local:topics-int8@1'] }
      })
    );
  });

  it('reads the log from its end, and leads back when the run is deleted', async () => {
    const provider = recorded();
    provider.recording.delete = ({ run }) =>
      RUNS.find(one => one.id === run) as Run;
    const { findAllByTestId, findByTestId, container, queryByTestId } = stage(
      'runs',
      {},
      { provider }
    );
    await findAllByTestId('mn-run-row');
    fireEvent.click(
      container.querySelector('[data-run="r7f3a9c2"] .mn-run-open') as Element
    );
    const remove = await findByTestId('mn-delete');
    const log = [...container.querySelectorAll('details')].pop() as HTMLElement;
    (log as HTMLDetailsElement).open = true;
    fireEvent(log, new Event('toggle'));
    const text = await findByTestId('mn-log');
    await waitFor(() => expect(text.textContent).toContain('step  64/112'));
    const logs = provider.calls.filter(call => call.method === 'log');
    expect(logs[0].params).toEqual({ run: 'r7f3a9c2', offset: -20000 });
    fireEvent.click(remove);
    fireEvent.click(remove);
    await waitFor(() => expect(queryByTestId('mn-run')).toBeNull());
  });

  it('rests while its tab is behind: nothing is asked or watched', async () => {
    const { findAllByTestId, getByTestId, provider } = stage('sidebar');
    await findAllByTestId('mn-model');
    const asked = () => provider.calls.filter(call => call.method === 'runs');
    expect(asked()).toHaveLength(0);
    expect(provider.watchers.feeds).toEqual(['models', 'sources']);
    fireEvent.click(getByTestId('mn-tab-runs'));
    await findAllByTestId('mn-run-row');
    expect(provider.watchers.feeds).toEqual(['runs']);
    fireEvent.click(getByTestId('mn-tab-models'));
    expect(provider.watchers.feeds).toEqual(['models', 'sources']);
    fireEvent.click(getByTestId('mn-tab-runs'));
    await waitFor(() => expect(asked()).toHaveLength(2));
  });

  it('leads from a model to its run and back in the sidebar', async () => {
    const { findAllByTestId, findByTestId, findByText, getByTestId } =
      stage('sidebar');
    await findAllByTestId('mn-model');
    fireEvent.click(getByTestId('mn-tab-models'));
    fireEvent.click((await findAllByTestId('mn-model'))[1]);
    fireEvent.click(await findByText('r7f3a9c2'));
    expect((await findByTestId('mn-run')).textContent).toContain('topics');
    expect(getByTestId('mn-tab-runs').getAttribute('aria-selected')).toBe(
      'true'
    );
  });
});
