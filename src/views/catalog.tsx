import * as React from 'react';

import type { Facets } from '../data/answers';
import type { Params } from '../data/provider';
import type { IViewProps } from './host';
import { useHost } from './host';
import { useLive, useSettled } from './live';
import { ModelCard } from './model-card';
import { Back } from './parts/back';
import { Pick } from './parts/pick';
import { useTaskName } from './parts/model-facts';
import { ModelList } from './parts/model-list';
import { Empty, ErrorNotice } from './parts/notice';

const DEBOUNCE_MS = 200;
const TASKS = [
  'text-classification',
  'token-classification',
  'question-answering',
  'text-generation',
  'text2text-generation',
  'translation',
  'summarization',
  'fill-mask',
  'feature-extraction',
  'sentence-similarity',
  'multi-label-classification',
  'text-regression',
  'image-classification',
  'audio-classification',
  'automatic-speech-recognition',
  'table'
];
const LICENCES = [
  'commercial',
  'permissive',
  'copyleft',
  'noncommercial',
  'other',
  'unknown'
];
const SORTS = ['downloads', 'likes', 'updated', 'size'];

interface IFilters {
  task: string;
  license: string;
  source: string;
  sort: string;
}

const NO_FILTERS: IFilters = { task: '', license: '', source: '', sort: '' };

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
              if (event.key === 'Escape') {
                setQuery('');
              } else if (event.key === 'ArrowDown' && items.length) {
                event.preventDefault();
                list.current?.focus();
              } else if (event.key === 'Enter' && items.length) {
                setOpened(items[0].ref);
              }
            }}
          />
          <Filters
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
          items.length > 0 && (
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

function asked(
  query: string,
  { task, license, source, sort }: IFilters,
  limit: number
): Params<'search'> {
  return {
    query,
    ...(task && { task }),
    ...(license && { license }),
    ...(source && { source }),
    ...(sort && { sort }),
    limit
  };
}

/** What the counts beside the filters are asked by. */
function narrowed(
  query: string,
  { task, license, source }: IFilters
): Params<'facets'> {
  return {
    query,
    ...(task && { task }),
    ...(license && { license }),
    ...(source && { source })
  };
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

function Filters(props: {
  value: IFilters;
  counts: Facets;
  onChange(value: IFilters): void;
}): React.ReactElement {
  const { t } = useHost();
  const taskName = useTaskName();
  const sources = useLive('sources', {}, ['sources']);
  const { value, counts } = props;
  const counted = (facet: string, key: string, name: string) => {
    const n = counts[facet]?.[key];
    return n ? t('ui.filter.counted', { name, n }) : name;
  };
  const change = (part: Partial<IFilters>) =>
    props.onChange({ ...value, ...part });
  return (
    <div className="mn-filters">
      <Pick
        label={t('ui.filter.task')}
        value={value.task}
        options={TASKS.map(task => [
          task,
          counted('task', task, taskName(task))
        ])}
        onPick={task => change({ task })}
      />
      <Pick
        label={t('ui.filter.licence')}
        value={value.license}
        options={LICENCES.map(kind => [
          kind,
          counted('license', kind, t(`ui.licence_short.${kind}`))
        ])}
        onPick={license => change({ license })}
      />
      <Pick
        label={t('ui.filter.source')}
        value={value.source}
        options={(sources.value?.items ?? []).map(({ name }) => [
          name,
          counted('source', name, name)
        ])}
        onPick={source => change({ source })}
      />
      <Pick
        label={t('ui.filter.sort')}
        value={value.sort}
        options={SORTS.map(sort => [sort, t(`ui.sort.${sort}`)])}
        onPick={sort => change({ sort })}
      />
    </div>
  );
}
