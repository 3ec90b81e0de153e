import * as React from 'react';

import type { History } from '../../data/answers';
import { count, duration, figure } from '../format';
import { useHost } from '../host';
import type { ILine } from './chart';
import { LineChart } from './chart';

const NOT_DRAWN = /^(epoch|step|time|learning_rate|lr|grad_norm|rows_per_s)$/;
const ROWS_SHOWN = 200;

/**
 * The lines of a history, losses apart from metrics. A line's place is its colour: training before validation, the
 * metric that decides first, as the finished run's card draws them.
 */
export function linesOf(
  history: History,
  primary: string | null = null
): { loss: ILine[]; metric: ILine[] } {
  const place = ({ name }: ILine) =>
    Number(/loss/.test(name) ? /^eval_/.test(name) : of(name) !== primary);
  const lines = Object.entries(history.series)
    .filter(([name]) => !NOT_DRAWN.test(name))
    .map(([name, series]) => ({
      name,
      points: series.step.flatMap((x, i) => {
        const y = series.value[i];
        return y === null ? [] : [{ x, y }];
      })
    }))
    .filter(line => line.points.length)
    .sort((a, b) => place(a) - place(b));
  return {
    loss: lines.filter(line => /loss/.test(line.name)),
    metric: lines.filter(line => !/loss/.test(line.name))
  };
}

/** The metric that a line is of. */
function of(name: string): string {
  return name.replace(/^eval_/, '');
}

/** Loss and metrics over steps; the same data as a table where `table` says so. */
export function RunCharts(props: {
  history: History;
  primary: string | null;
  height: number;
  table?: boolean;
}): React.ReactElement | null {
  const { t } = useHost();
  const { history, primary, height, table } = props;
  const { loss, metric } = linesOf(history, primary);
  if (!loss.length && !metric.length) {
    return null;
  }
  return table ? (
    <HistoryTable history={history} />
  ) : (
    <div className="mn-charts">
      {loss.length > 0 && (
        <LineChart title={t('ui.chart.loss')} lines={loss} height={height} />
      )}
      {metric.length > 0 && (
        <LineChart
          title={t('ui.chart.metric')}
          lines={metric}
          height={height}
        />
      )}
    </div>
  );
}

function HistoryTable({ history }: { history: History }): React.ReactElement {
  const { t } = useHost();
  const names = Object.keys(history.series);
  const rows = new Map<number, Record<string, number | null>>();
  const times = new Map<number, number | null>();
  names.forEach(name => {
    const { step, time, value } = history.series[name];
    step.forEach((at, i) => {
      rows.set(at, { ...rows.get(at), [name]: value[i] });
      times.set(at, time[i] ?? null);
    });
  });
  const steps = [...rows.keys()].sort((a, b) => b - a).slice(0, ROWS_SHOWN);
  return (
    <div className="mn-scroll" tabIndex={0} data-testid="mn-history">
      <table className="mn-table">
        <thead>
          <tr>
            <th scope="col">{t('ui.table.step')}</th>
            <th scope="col">{t('ui.table.time')}</th>
            {names.map(name => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {steps.map(step => (
            <tr key={step}>
              <th scope="row" className="mn-num">
                {count(step, t)}
              </th>
              <td className="mn-num">{duration(times.get(step), t)}</td>
              {names.map(name => (
                <td key={name} className="mn-num">
                  {figure(rows.get(step)?.[name], t)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
