import * as React from 'react';

import { bytes, figure } from '../format';
import { useHost } from '../host';
import { placed } from './labels';
import { extent, linear, ticks, useWidth } from './scale';

export interface IMark {
  name: string;

  /** Latency: p50 in ms; or what `across` says. */
  x: number;

  /** Quality. */
  y: number;

  /** Size: the area of the circle. */
  bytes: number | null;

  /** Whether no other is better in everything. */
  front: boolean;
}

const HEIGHT = 200;
const MARGIN = { top: 14, right: 14, bottom: 34, left: 48 };

/** What stands across in place of latency: the axis' name, and a mark in words. */
export interface IAcross {
  label: string;
  said(mark: IMark): string;
}

const NUMBERED = 12;
const SHORT = 3;

/**
 * Quality over latency, the size as area; the Pareto front is filled and joined. Where the names have no room they are
 * numbers, from `first` on, and stand below.
 */
export function Scatter(props: {
  marks: IMark[];
  quality: string;
  across?: IAcross;
  first?: number;
}): React.ReactElement {
  const { t } = useHost();
  const { marks, quality, across, first = 1 } = props;
  const [ref, width] = useWidth(280);
  const xRange = extent([0, ...marks.map(mark => mark.x)], 0.1);
  const yRange = extent(
    marks.map(mark => mark.y),
    0.25
  );
  const x = linear([0, xRange[1]], [MARGIN.left, width - MARGIN.right]);
  const y = linear(yRange, [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const most = Math.max(...marks.map(mark => mark.bytes ?? 0), 1);
  const radius = (mark: IMark) =>
    mark.bytes ? 4 + 12 * Math.sqrt(mark.bytes / most) : 6;
  const front = marks.filter(mark => mark.front).sort((a, b) => a.x - b.x);
  const room = {
    x: MARGIN.left,
    y: 0,
    width: width - MARGIN.left,
    height: HEIGHT - MARGIN.bottom
  };
  const places = (names: string[]) =>
    placed(
      marks.map((mark, i) => ({
        name: names[i],
        x: x(mark.x),
        y: y(mark.y),
        r: radius(mark)
      })),
      room
    );
  const named = places(marks.map(mark => mark.name));
  const numbered =
    named.includes(null) &&
    marks.length <= NUMBERED &&
    marks.some(mark => mark.name.length > SHORT);
  const texts = marks.map((mark, i) =>
    numbered ? String(first + i) : mark.name
  );
  const labels = numbered ? places(texts) : named;
  const latency = (mark: IMark) =>
    t('ui.compare.mark', {
      name: mark.name,
      quality,
      value: figure(mark.y, t),
      ms: figure(mark.x, t),
      size: bytes(mark.bytes, t)
    });
  const said = across?.said ?? latency;
  return (
    <div ref={ref} className="mn-chart-area" data-testid="mn-scatter">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={marks.map(said).join('; ')}
      >
        {ticks(...yRange, 3).map(tick => (
          <g key={tick}>
            <path
              className="mn-grid"
              d={`M${MARGIN.left} ${y(tick)}H${width - MARGIN.right}`}
            />
            <text
              className="mn-tick"
              x={MARGIN.left - 6}
              y={y(tick)}
              dy="0.32em"
              textAnchor="end"
            >
              {tick}
            </text>
          </g>
        ))}
        {ticks(0, xRange[1], width < 360 ? 2 : 4).map(tick => (
          <text
            key={tick}
            className="mn-tick"
            x={x(tick)}
            y={HEIGHT - MARGIN.bottom + 14}
            textAnchor="middle"
          >
            {tick}
          </text>
        ))}
        <text
          className="mn-tick"
          x={width - MARGIN.right}
          y={HEIGHT - 4}
          textAnchor="end"
        >
          {across?.label ?? t('ui.compare.latency')}
        </text>
        <path
          className="mn-front"
          d={front
            .map((mark, i) => `${i ? 'L' : 'M'}${x(mark.x)} ${y(mark.y)}`)
            .join('')}
        />
        {marks.map(mark => (
          <circle
            key={mark.name}
            className={mark.front ? 'mn-mark mn-mark-front' : 'mn-mark'}
            cx={x(mark.x)}
            cy={y(mark.y)}
            r={radius(mark)}
          >
            <title>{said(mark)}</title>
          </circle>
        ))}
        {labels.map(
          (label, i) =>
            label && (
              <text
                key={marks[i].name}
                className="mn-mark-name"
                x={label.x}
                y={label.y}
                dy="0.35em"
                textAnchor={label.anchor}
              >
                {texts[i]}
              </text>
            )
        )}
      </svg>
      {numbered && (
        <p className="mn-legend" data-testid="mn-scatter-legend">
          {marks.map((mark, i) => (
            <span key={mark.name} className="mn-legend-item">
              <span className="mn-legend-value">{first + i}:</span> {mark.name}
            </span>
          ))}
        </p>
      )}
    </div>
  );
}
