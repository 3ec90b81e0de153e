import * as React from 'react';

import type { Run } from '../../data/types';
import { bytes, count, duration } from '../format';
import { useHost } from '../host';
import { Facts } from './notice';
import { isLive } from './run-state';

/** What a training that goes on was said to take before its first step, and why it is done so. */
export function Planned({ run }: { run: Run }): React.ReactElement | null {
  const { t } = useHost();
  const { plan } = run;
  if (!plan || !isLive(run) || run.kind !== 'finetune') {
    return null;
  }
  const of = (need: number, free: number | null) =>
    free === null
      ? bytes(need, t)
      : t('ui.plan.of_free', { need: bytes(need, t), free: bytes(free, t) });
  const facts: [string, string][] = [
    [
      t('ui.plan.rows'),
      t('ui.plan.split', {
        n: count(plan.rows, t),
        out: count(plan.held_out, t)
      })
    ],
    [t('ui.plan.memory'), of(plan.memory, plan.memory_free)],
    [t('ui.plan.disk'), of(plan.disk, plan.disk_free)],
    [
      t('ui.plan.lost'),
      new Intl.NumberFormat(t.lang, {
        style: 'percent',
        maximumFractionDigits: 1
      }).format(plan.tokens_lost)
    ]
  ];
  // Once the run measures itself, its own time left says more.
  if (plan.seconds && typeof run.progress?.eta_s !== 'number') {
    const [low, high] = plan.seconds;
    facts.push([
      t('ui.plan.time'),
      t('ui.plan.range', { low: duration(low, t), high: duration(high, t) })
    ]);
  }
  return (
    <div data-testid="mn-plan">
      <p className="mn-small">{plan.reason}</p>
      <Facts rows={facts} />
    </div>
  );
}
