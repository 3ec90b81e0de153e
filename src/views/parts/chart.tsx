import * as React from 'react';

import { count, figure } from '../format';
import { useHost } from '../host';
import { extent, linear, ticks, useWidth } from './scale';

export interface IPoint {
  x: number;
  y: number;
}

export interface ILine {
  name: string;
  points: IPoint[];
}

const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };

/** How many lines have a colour and a pattern of their own. */
const LINES = 6;

/**
 * Lines over steps, with a legend that reads out the values under the pointer (or under the arrow keys).
 */
export function LineChart(props: {
  title: string;
  lines: ILine[];
  height: number;
}): React.ReactElement {
  const { t } = useHost();
  const { title, lines, height } = props;
  const [ref, width] = useWidth(280);
  const [at, setAt] = React.useState<number | null>(null);

  const xs = [
    ...new Set(lines.flatMap(line => line.points.map(point => point.x)))
  ].sort((a, b) => a - b);
  const xRange = extent(xs, 0);
  const yRange = extent(lines.flatMap(line => line.points.map(p => p.y)));
  const x = linear(xRange, [MARGIN.left, width - MARGIN.right]);
  const y = linear(yRange, [height - MARGIN.bottom, MARGIN.top]);
  const xTicks = ticks(...xRange, width < 360 ? 2 : 4);
  const yTicks = ticks(...yRange, Math.max(2.4, height / 50));

  const onPointerMove = (event: React.PointerEvent<SVGSVGElement>) => {
    const left = event.currentTarget.getBoundingClientRect().left;
    setAt(nearest(xs, event.clientX - left, x));
  };
  const onKeyDown = (event: React.KeyboardEvent) => {
    const here = at === null ? xs.length - 1 : xs.indexOf(at);
    const to: Record<string, number> = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      Home: 0,
      End: xs.length - 1
    };
    if (event.key in to && xs.length) {
      event.preventDefault();
      setAt(xs[Math.max(0, Math.min(xs.length - 1, to[event.key]))]);
    }
  };

  return (
    <figure className="mn-chart" data-testid="mn-chart">
      <figcaption className="mn-legend">
        <span className="mn-legend-title">{title}</span>
        {lines.map((line, i) => (
          <span key={line.name} className="mn-legend-item">
            <svg width="16" height="8" aria-hidden="true">
              <path className={`mn-line mn-line-${i % LINES}`} d="M0 4H16" />
            </svg>
            {line.name}
            <span className="mn-num mn-legend-value">
              {figure(valueAt(line, at), t)}
            </span>
          </span>
        ))}
        {at !== null && (
          <span className="mn-num mn-legend-at" role="status">
            {t('ui.chart.step', { n: count(at, t) })}
          </span>
        )}
      </figcaption>
      <div ref={ref} className="mn-chart-area">
        <svg
          width={width}
          height={height}
          role="img"
          tabIndex={0}
          aria-label={t('ui.chart.label', { title, n: xs.length })}
          onPointerMove={onPointerMove}
          onPointerLeave={() => setAt(null)}
          onKeyDown={onKeyDown}
          onBlur={() => setAt(null)}
        >
          {yTicks.map(tick => (
            <g key={tick}>
              <path
                className="mn-grid"
                d={`M${MARGIN.left} ${px(y(tick))}H${width - MARGIN.right}`}
              />
              <text
                className="mn-tick"
                x={MARGIN.left - 6}
                y={y(tick)}
                dy="0.32em"
                textAnchor="end"
              >
                {axis(tick)}
              </text>
            </g>
          ))}
          {xTicks.map(tick => (
            <text
              key={tick}
              className="mn-tick"
              x={x(tick)}
              y={height - 5}
              textAnchor={x(tick) > width - 24 ? 'end' : 'middle'}
            >
              {axis(tick)}
            </text>
          ))}
          {at !== null && (
            <path
              className="mn-crosshair"
              d={`M${px(x(at))} ${MARGIN.top}V${height - MARGIN.bottom}`}
            />
          )}
          {lines.map((line, i) => (
            <Line key={line.name} line={line} i={i} x={x} y={y} at={at} />
          ))}
        </svg>
      </div>
    </figure>
  );
}

function Line(props: {
  line: ILine;
  i: number;
  x(value: number): number;
  y(value: number): number;
  at: number | null;
}): React.ReactElement {
  const { line, i, x, y, at } = props;
  const path = line.points
    .map(point => `${px(x(point.x))} ${px(y(point.y))}`)
    .join('L');
  const marked =
    line.points.length <= 12
      ? line.points
      : line.points.filter(point => point.x === at);
  return (
    <g>
      {line.points.length > 1 && (
        <path className={`mn-line mn-line-${i % LINES}`} d={`M${path}`} />
      )}
      {marked.map(point => (
        <circle
          key={point.x}
          className={`mn-dot mn-dot-${i % LINES}`}
          cx={px(x(point.x))}
          cy={px(y(point.y))}
          r={point.x === at ? 3.5 : 2}
        />
      ))}
    </g>
  );
}

function px(value: number): number {
  return Math.round(value * 10) / 10;
}

function axis(value: number): string {
  return Math.abs(value) >= 1000
    ? `${Number((value / 1000).toPrecision(4))}k`
    : String(Number(value.toPrecision(4)));
}

function nearest(
  xs: number[],
  left: number,
  x: (value: number) => number
): number | null {
  let best: number | null = null;
  xs.forEach(value => {
    if (best === null || Math.abs(x(value) - left) < Math.abs(x(best) - left)) {
      best = value;
    }
  });
  return best;
}

/** A line's value at or before a step; its last one where no step is pointed at. */
function valueAt(line: ILine, at: number | null): number | null {
  const before =
    at === null ? line.points : line.points.filter(point => point.x <= at);
  return before.length ? before[before.length - 1].y : null;
}
