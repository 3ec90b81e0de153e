import * as React from 'react';

import { useHost } from '../host';
import { extent, linear } from './scale';

const WIDTH = 46;
const HEIGHT = 20;

/** A line without axes, as small as a word. */
export function Sparkline(props: {
  name: string;
  values: (number | null)[];
}): React.ReactElement | null {
  const { t } = useHost();
  const values = props.values.filter((v): v is number => v !== null);
  if (values.length < 2) {
    return null;
  }
  const x = linear([0, values.length - 1], [2, WIDTH - 3]);
  const y = linear(extent(values, 0), [HEIGHT - 3, 3]);
  const points = values.map((v, i) => `${x(i).toFixed(1)} ${y(v).toFixed(1)}`);
  const last = values.length - 1;
  const said = t('ui.chart.spark', { name: props.name });
  return (
    <svg
      className="mn-spark"
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={said}
      data-testid="mn-spark"
    >
      <title>{said}</title>
      <path className="mn-line mn-line-0" d={`M${points.join('L')}`} />
      <circle
        className="mn-dot mn-dot-0"
        cx={x(last)}
        cy={y(values[last])}
        r="2"
      />
    </svg>
  );
}
