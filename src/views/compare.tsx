import * as React from 'react';

import type { SideBySide } from '../data/answers';
import type { IText } from '../text';
import { anything, bytes, figure, ms } from './format';
import type { IViewProps } from './host';
import { useHost } from './host';
import { useLive } from './live';
import { ErrorNotice, Section } from './parts/notice';
import { lower } from './parts/trials';
import type { IMark } from './parts/scatter';
import { Scatter } from './parts/scatter';

const NAMES = ['model', 'ref', 'name'];
const QUALITIES = ['accuracy', 'f1_macro', 'f1', 'auc', 'bleu', 'r2', 'recall'];

/**
 * Models side by side: quality against latency and size, and the table of it. Params: `refs`, or a `result` that is
 * there already.
 */
export function Compare({ params }: IViewProps): React.ReactElement {
  const { t } = useHost();
  const given = params.result as SideBySide | undefined;
  const refs = (params.refs as string[] | undefined) ?? [];
  const asked = useLive('compare', given ? null : { refs });
  const result = given ?? asked.value;
  if (!result) {
    return asked.error ? (
      <ErrorNotice error={asked.error} retry={asked.reload} />
    ) : (
      <p className="mn-status" role="status">
        {t('ui.loading')}
      </p>
    );
  }
  const { marks, quality } = marksOf(result);
  return (
    <article className="mn-card mn-compare" data-testid="mn-compare">
      <h2 className="mn-title">{t('ui.compare.title')}</h2>
      {marks.length > 0 && (
        <Section title={t('ui.compare.chart', { quality })}>
          <Scatter marks={marks} quality={quality} />
          <p className="mn-small">{t(legendOf(quality))}</p>
        </Section>
      )}
      <div className="mn-scroll" tabIndex={0}>
        <table className="mn-table" data-testid="mn-compare-table">
          <thead>
            <tr>
              {result.columns.map(column => (
                <th key={column} scope="col">
                  {t.has(`ui.column.${column}`)
                    ? t(`ui.column.${column}`)
                    : column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {result.rows.map((row, i) => (
              <tr key={i}>
                {row.map((value, j) => (
                  <td
                    key={j}
                    className={typeof value === 'number' ? 'mn-num' : ''}
                  >
                    {cell(result.columns[j], value, quality, t)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </article>
  );
}

function cell(
  column: string,
  value: unknown,
  quality: string,
  t: IText
): string {
  if (typeof value !== 'number') {
    return anything(value, t);
  }
  if (/bytes/.test(column)) {
    return bytes(value, t);
  }
  if (/_ms$/.test(column)) {
    return ms(value, t);
  }
  return column === quality ? figure(value, t) : anything(value, t);
}

/** The message that says how to read the scatter. */
export function legendOf(quality: string): string {
  return lower(quality) ? 'ui.compare.legend_lower' : 'ui.compare.legend';
}

/** The points of the scatter, from whichever columns a comparison has. */
export function marksOf({ columns, rows, front, primary_metric }: SideBySide): {
  marks: IMark[];
  quality: string;
} {
  const quality =
    primary_metric ?? QUALITIES.find(name => columns.includes(name)) ?? '';
  const at = (name: string) => columns.indexOf(name);
  const name = Math.max(0, at(NAMES.find(one => columns.includes(one)) ?? ''));
  const number = (row: unknown[], column: string): number | null => {
    const value = row[at(column)];
    return typeof value === 'number' ? value : null;
  };
  const all = rows.flatMap((row): Omit<IMark, 'front'>[] => {
    const x = number(row, 'p50_ms');
    const y = number(row, quality);
    return x === null || y === null
      ? []
      : [{ name: String(row[name]), x, y, bytes: number(row, 'bytes') }];
  });
  const sign = lower(quality) ? -1 : 1;
  const beaten = (one: Omit<IMark, 'front'>) =>
    all.some(
      other =>
        other !== one &&
        other.x <= one.x &&
        sign * other.y >= sign * one.y &&
        (other.bytes ?? 0) <= (one.bytes ?? 0) &&
        (other.x < one.x ||
          sign * other.y > sign * one.y ||
          (other.bytes ?? 0) < (one.bytes ?? 0))
    );
  return {
    quality,
    marks: all.map(one => ({
      ...one,
      front: front ? front.includes(one.name) : !beaten(one)
    }))
  };
}
