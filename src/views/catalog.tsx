import * as React from 'react';

import type { IViewProps } from './host';
import { useHost } from './host';
import { useLive, useSettled } from './live';
import { ModelCard } from './model-card';
import { Back } from './parts/back';
import {
  ModelFilters,
  NO_FILTERS,
  asked,
  narrowed
} from './parts/model-filters';
import { ModelList } from './parts/model-list';
import { Empty, ErrorNotice } from './parts/notice';

const DEBOUNCE_MS = 200;

/**
 * The model catalogue: search, narrow down, open a card. Params: `pageSize`, `query`, `ref` (a card to open at once).
 */
export function Catalog({ params }: IViewProps): React.ReactElement {
  const { t } = useHost();
  const page = Number(params.pageSize) || 20;
  const [query, setQuery] = React.useState(String(params.query ?? ''));
  const [filters, setFilters] = React.useState(NO_FILTERS);
  const [pages, setPages] = React.useState(1);
  const [opened, setOpened] = React.useState<string | null>(null);
  const list = React.useRef<HTMLUListElement>(null);
  const settled = useSettled(query.trim(), DEBOUNCE_MS);

  React.useEffect(() => {
    setOpened(params.ref ? String(params.ref) : null);
  }, [params.ref, params.nonce]);
  React.useEffect(() => setPages(1), [settled, filters]);

  const found = useLive('search', asked(settled, filters, page * pages), [
    'models'
  ]);
  const facets = useLive('facets', narrowed(settled, filters), ['models']);
  const items = found.value?.items ?? [];
  // Until then the list is of what was typed before.
  const current = !found.loading && settled === query.trim();

  const close = () => {
    setOpened(null);
    requestAnimationFrame(() => list.current?.focus());
  };

  return (
    <div className="mn-view mn-catalog" data-testid="mn-catalog">
      {opened && (
        <div className="mn-page">
          <Back label={t('ui.models.back')} onBack={close} />
          <ModelCard params={{ ref: opened }} />
        </div>
      )}
      <div className="mn-page" hidden={opened !== null}>
        <div className="mn-toolbar">
          <input
            className="mn-input"
            type="search"
            value={query}
            aria-label={t('ui.models.search')}
            placeholder={t('ui.models.search')}
            data-testid="mn-search"
            onChange={event => setQuery(event.target.value)}
            onKeyDown={event => {
              if (event.nativeEvent.isComposing) {
                // The key belongs to the input method.
              } else if (event.key === 'Escape') {
                setQuery('');
              } else if (event.key === 'ArrowDown' && items.length) {
                event.preventDefault();
                list.current?.focus();
              } else if (event.key === 'Enter' && items.length && current) {
                setOpened(items[0].ref);
              }
            }}
          />
          <ModelFilters
            value={filters}
            counts={facets.value ?? {}}
            onChange={setFilters}
          />
        </div>
        <p className="mn-status" role="status">
          {found.loading
            ? t('ui.models.searching')
            : found.value
              ? t('ui.models.found', {
                  n: `${found.value.total}${found.value.more ? '+' : ''}`
                })
              : ''}
        </p>
        {found.error && (
          <ErrorNotice error={found.error} retry={found.reload} />
        )}
        {(found.value?.notes ?? []).map(note => (
          <p key={note} className="mn-notice mn-notice-note">
            {note}
          </p>
        ))}
        {items.length > 0 && (
          <ModelList ref={list} items={items} onOpen={setOpened} />
        )}
        {found.value &&
          found.value.total > items.length &&
          // Variants of one model are counted and folded: a page that isn't full is the last.
          items.length >= page * pages && (
            <button
              className="mn-button mn-more"
              onClick={() => setPages(pages + 1)}
            >
              {t('ui.action.more')}
            </button>
          )}
        {found.value && !items.length && !found.loading && (
          <NothingFound
            narrowed={
              settled !== '' || Object.values(filters).some(value => value)
            }
          />
        )}
      </div>
    </div>
  );
}

function NothingFound(props: { narrowed: boolean }): React.ReactElement {
  const { t } = useHost();
  return props.narrowed ? (
    <Empty
      title={t('ui.models.none_match')}
      body={t('ui.models.none_match_body')}
    />
  ) : (
    <Empty
      title={t('ui.models.none')}
      body={t('ui.models.none_body')}
      code="%model search minilm"
    />
  );
}
