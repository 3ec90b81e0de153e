import * as React from 'react';

import type { ModelInfo } from '../../data/types';
import { bytes, compact } from '../format';
import { useHost } from '../host';
import { LicenceMark, useTaskName } from './model-facts';

/** A list box: one stop for the keyboard, arrow keys inside, Enter opens. */
export const ModelList = React.forwardRef<
  HTMLUListElement,
  { items: ModelInfo[]; onOpen(ref: string): void }
>(({ items, onOpen }, ref) => {
  const { t } = useHost();
  const id = React.useId();
  const [chosen, setChosen] = React.useState(0);
  const at = Math.min(chosen, items.length - 1);

  React.useEffect(() => {
    document
      .getElementById(`${id}${at}`)
      ?.scrollIntoView?.({ block: 'nearest' });
  }, [id, at]);

  const onKeyDown = (event: React.KeyboardEvent) => {
    const to: Record<string, number> = {
      ArrowDown: Math.min(at + 1, items.length - 1),
      ArrowUp: Math.max(at - 1, 0),
      PageDown: Math.min(at + 8, items.length - 1),
      PageUp: Math.max(at - 8, 0),
      Home: 0,
      End: items.length - 1
    };
    if (event.key in to) {
      event.preventDefault();
      setChosen(to[event.key]);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      onOpen(items[at].ref);
    }
  };

  return (
    <ul
      ref={ref}
      className="mn-list"
      role="listbox"
      tabIndex={0}
      aria-label={t('ui.models.list')}
      aria-activedescendant={`${id}${at}`}
      onKeyDown={onKeyDown}
      data-testid="mn-models"
    >
      {items.map((info, i) => (
        <li
          key={info.ref}
          id={`${id}${i}`}
          role="option"
          aria-selected={i === at}
          className="mn-row mn-model"
          title={info.ref}
          onClick={() => {
            setChosen(i);
            onOpen(info.ref);
          }}
          data-testid="mn-model"
        >
          <ModelRow info={info} />
        </li>
      ))}
    </ul>
  );
});

ModelList.displayName = 'ModelList';

function ModelRow({ info }: { info: ModelInfo }): React.ReactElement {
  const taskName = useTaskName();
  const { t } = useHost();
  return (
    <>
      <span className="mn-row-head">
        <span className="mn-row-name">{info.name || info.id}</span>
        <span className="mn-badge">{info.source}</span>
        {(info.also ?? []).map(ref => (
          <span key={ref} className="mn-badge" title={ref}>
            {ref.split(':')[0]}
          </span>
        ))}
      </span>
      <span className="mn-row-meta">
        {info.task && <span>{taskName(info.task)}</span>}
        {info.parameters !== null && (
          <span className="mn-num">
            {t('ui.models.parameters', { n: compact(info.parameters) })}
          </span>
        )}
        {info.bytes !== null && (
          <span className="mn-num">{bytes(info.bytes, t)}</span>
        )}
        <LicenceMark info={info} />
        {info.variants?.length > 0 && (
          <span className="mn-num" title={info.variants.join('\n')}>
            {t('ui.models.variants', { n: info.variants.length })}
          </span>
        )}
      </span>
    </>
  );
}
