import * as React from 'react';

import type { Candidate, Report } from '../../data/parts';
import { legendOf, marksOf } from '../compare';
import { figure } from '../format';
import { useHost } from '../host';
import {
  Between,
  MeasureCells,
  MeasureHeads,
  MeasureMore,
  offCpu
} from './measures';
import { Scatter } from './scatter';
import { unbounded } from './trials';

const COLUMNS = 6;

/** Every attempt of a run that makes a model smaller: a chart of quality over latency, and the table of it. */
export function RunCandidates({
  report
}: {
  report: Report;
}): React.ReactElement | null {
  const { t } = useHost();
  const tried = report.attempts ?? [];
  const quality = report.metric ?? '';
  if (tried.length < 2) {
    return null;
  }
  const { before } = report;
  const drop = t(
    unbounded(quality) ? 'ui.report.drop_percent' : 'ui.report.drop'
  );
  const elsewhere = offCpu([before, ...tried]);
  const named = (one: Candidate) =>
    called(one) + (taken(one, report) ? ` · ${t('ui.report.taken')}` : '');
  const { marks } = marksOf({
    columns: ['name', quality, 'bytes', 'p50_ms'],
    rows: [
      [
        t('ui.report.original'),
        before?.metrics?.[quality],
        before?.bytes,
        before?.p50_ms
      ],
      ...tried.map(one => [named(one), one.value, one.bytes, one.p50_ms])
    ],
    primary_metric: quality
  });
  return (
    <>
      {marks.length > 1 && (
        <Scatter marks={marks} quality={quality} first={0} />
      )}
      <p className="mn-small">{t(legendOf(quality))}</p>
      {tried.some(one => taken(one, report)) && (
        <p className="mn-small">{t('ui.report.chosen')}</p>
      )}
      <div className="mn-scroll mn-unstacked" tabIndex={0}>
        <table className="mn-table mn-stack" data-testid="mn-candidates">
          <thead>
            <tr>
              <th scope="col">{t('ui.report.tried')}</th>
              <th scope="col">{quality}</th>
              <th scope="col">{drop}</th>
              <MeasureHeads />
            </tr>
          </thead>
          <tbody>
            {tried.map(one => (
              <React.Fragment key={called(one)}>
                <tr aria-current={taken(one, report)}>
                  <th scope="row">{named(one)}</th>
                  <td className="mn-num" data-name={quality}>
                    {figure(one.value, t)}
                  </td>
                  <td
                    className={`mn-num${one.accepted ? '' : ' mn-bad'}`}
                    data-name={drop}
                  >
                    {points(one.drop)}
                    <Between of={turned(one.interval)} show={points} to=" … " />
                  </td>
                  <MeasureCells of={one} />
                </tr>
                <MeasureMore of={one} columns={COLUMNS} device={elsewhere} />
              </React.Fragment>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** A candidate in words: `onnx int8 static`. */
function called({ backend, scheme, options }: Candidate): string {
  const said = Object.entries(options).map(([name, value]) =>
    value === true ? name : `${name}=${String(value)}`
  );
  return [backend, scheme, ...said].join(' ');
}

function taken(one: Candidate, report: Report): boolean {
  const { backend = '', scheme = '', options = {} } = report;
  return called(one) === called({ ...one, backend, scheme, options });
}

/** The interval of a drop, from the worst that it may be to the least. */
function turned(interval: Candidate['interval']): Candidate['interval'] {
  return interval && [interval[1], interval[0]];
}

/** A drop as it changes the metric, in points or percent: −0.2 is worse. */
function points(drop: number | null): string {
  if (drop === null) {
    return '–';
  }
  const change = -100 * drop;
  const sign = change < 0 ? '−' : change > 0 ? '+' : '±';
  return sign + Math.abs(change).toFixed(1);
}
