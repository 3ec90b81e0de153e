import * as React from 'react';

import type { Figures, Report } from '../../data/parts';
import type { IText } from '../../text';
import { bytes, compact, figure, ms } from '../format';
import { useHost } from '../host';
import { Between, offCpu } from './measures';
import { lower } from './trials';

type Interval = [number | null, number | null];

interface IRow {
  name: string;
  before: number | null;
  after: number | null;
  show(value: number | null): string;

  /** 1: more is better, -1: less is. */
  better: number;

  /** Whether the difference is said in points and not in percent. */
  points?: boolean;

  /** What may come of chance alone: of the original, and of what was made of it. */
  intervals?: { before?: Interval; after?: Interval };
}

/** Before and after, side by side, with what it changed. */
export function RunReport(props: {
  report: Report;
}): React.ReactElement | null {
  const { t } = useHost();
  const { before, after } = props.report;
  if (!before || !after) {
    return null;
  }
  return (
    <table className="mn-table mn-sides" data-testid="mn-report">
      <thead>
        <tr>
          <th scope="col">{t('ui.report.measure')}</th>
          <th scope="col">{t('ui.report.before')}</th>
          <th scope="col">{t('ui.report.after')}</th>
          <th scope="col">{t('ui.report.change')}</th>
        </tr>
      </thead>
      <tbody>
        {rows(before, after, t).map(row => (
          <tr key={row.name}>
            <th scope="row">{row.name}</th>
            <td className="mn-num">
              {row.show(row.before)}
              <Between of={row.intervals?.before} />
            </td>
            <td className="mn-num">
              {row.show(row.after)}
              <Between of={row.intervals?.after} />
            </td>
            <Change row={row} t={t} />
          </tr>
        ))}
        {offCpu([before, after]) && (
          <tr>
            <th scope="row">{t('ui.run.device')}</th>
            <td>{before.device ?? 'cpu'}</td>
            <td>{after.device ?? 'cpu'}</td>
            <td />
          </tr>
        )}
      </tbody>
    </table>
  );
}

function rows(before: Figures, after: Figures, t: IText): IRow[] {
  const row = (
    key: keyof Figures & string,
    show: (value: number | null) => string,
    better: number
  ): IRow => ({
    name: t(`ui.report.${key}`),
    before: before[key] as number | null,
    after: after[key] as number | null,
    show,
    better
  });
  const size = (value: number | null) => bytes(value, t);
  const latency = (value: number | null) => ms(value, t);
  const time = (value: number | null) => ms(value && 1000 * value, t);
  return [
    row('bytes', size, -1),
    row('p50_ms', latency, -1),
    row('p95_ms', latency, -1),
    row('rows_per_s', value => compact(value), 1),
    row('peak_memory_bytes', size, -1),
    ...(after.load_s ? [row('load_s', time, -1)] : []),
    ...Object.keys(after.metrics ?? {}).map(name => ({
      name,
      before: before.metrics?.[name] ?? null,
      after: after.metrics[name],
      show: (value: number | null) => figure(value, t),
      better: lower(name) ? -1 : 1,
      points: true,
      intervals: {
        before: before.intervals?.[name],
        after: after.intervals?.[name]
      }
    }))
  ];
}

function Change({ row, t }: { row: IRow; t: IText }): React.ReactElement {
  const { before, after, better, points, intervals } = row;
  if (
    before === null ||
    after === null ||
    before === undefined ||
    after === undefined ||
    (!points && before === 0)
  ) {
    return <td className="mn-num">–</td>;
  }
  const difference = after - before;
  const [low, high] = intervals?.before ?? [null, null];
  const chance = low !== null && high !== null && after >= low && after <= high;
  const good = chance ? 0 : Math.sign(difference) * better;
  const sign = difference > 0 ? '+' : difference < 0 ? '−' : '±';
  const text = points
    ? `${sign}${figure(Math.abs(difference), t)}`
    : `${sign}${Math.abs((100 * difference) / before).toFixed(0)}%`;
  const tone = good > 0 ? ' mn-good' : good < 0 ? ' mn-bad' : '';
  return <td className={`mn-num${tone}`}>{text}</td>;
}
