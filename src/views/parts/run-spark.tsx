import * as React from 'react';

import type { Run } from '../../data/types';
import { useLive } from '../live';
import { linesOf } from './run-charts';
import { isLive, primary } from './run-state';
import { Sparkline } from './sparkline';

const POINTS = 40;
const WITH_HISTORY = new Set(['finetune', 'tune', 'distil']);

/**
 * A run's own small chart, asked for once its row has come into sight: the course of the figure beside it, and of the
 * loss only where no figure is.
 */
export function RunSpark({ run }: { run: Run }): React.ReactElement {
  const el = React.useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = React.useState(
    typeof IntersectionObserver === 'undefined'
  );
  React.useEffect(() => {
    if (seen || !el.current) {
      return;
    }
    const observer = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) {
        setSeen(true);
      }
    });
    observer.observe(el.current);
    return () => observer.disconnect();
  }, [seen]);

  const has = WITH_HISTORY.has(run.kind) && run.state !== 'queued';
  const { value } = useLive(
    'history',
    seen && has ? { run: run.id, points: POINTS } : null,
    isLive(run) ? [`run:${run.id}`] : []
  );
  const { loss, metric } = value ? linesOf(value) : { loss: [], metric: [] };
  const line =
    primary(run) === null
      ? (longest(loss) ?? longest(metric))
      : [...metric, ...loss].find(
          ({ name }) => name === `eval_${run.primary_metric}`
        );
  return (
    <span ref={el} className="mn-spark-box">
      {line && (
        <Sparkline
          name={line.name}
          values={line.points.map(point => point.y)}
        />
      )}
    </span>
  );
}

function longest<T extends { points: unknown[] }>(lines: T[]): T | undefined {
  return [...lines].sort((a, b) => b.points.length - a.points.length)[0];
}
