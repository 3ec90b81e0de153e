import * as fs from 'fs';
import * as path from 'path';

import en from '../../python/modelnook/messages/en/ui.json';
import zh from '../../python/modelnook/messages/zh/ui.json';
import schema from '../../labextension/schema/plugin.json';
import { translated } from '../../src/plugins/settings';
import { languageOf, text } from '../../src/text';

const SRC = path.join(__dirname, '..', '..', 'src');

function files(folder: string): string[] {
  return fs
    .readdirSync(folder, { withFileTypes: true })
    .flatMap(entry =>
      entry.isDirectory()
        ? files(path.join(folder, entry.name))
        : [path.join(folder, entry.name)]
    );
}

/** Every key in the source: whole ones, and `ui.state.${…}` as a pattern. */
const USED = [
  ...new Set(
    files(SRC).flatMap(file =>
      [
        ...fs
          .readFileSync(file, 'utf8')
          .matchAll(/['`]ui\.((?:[\w.-]|\$\{[^}]*\})+)['`]/g)
      ].map(found => found[1])
    )
  )
];
const PATTERNS = USED.map(
  key =>
    new RegExp(
      `^${key
        .replace(/\./g, '\\.')
        .replace(/\$\{[^}]*\}/g, '[\\w-]+')
        .replace(/\$$/, '')}$`
    )
);
/** Read by their code, as `CODE` and `CODE.hint`. */
const HINT = /^error\.\w+\.hint$/;

describe('the message catalogue', () => {
  it('has the same keys in both languages', () => {
    expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  });

  it('has the same placeholders in both languages', () => {
    const places = (one: string) => (one.match(/\{\w+\}/g) ?? []).sort();
    for (const key of Object.keys(en)) {
      expect([key, places(zh[key])]).toEqual([key, places(en[key])]);
    }
  });

  it.each(USED.filter(key => !key.includes('$')))('has ui.%s', key => {
    expect(en).toHaveProperty([key]);
  });

  it('has an entry for every built key', () => {
    PATTERNS.forEach((pattern, i) => {
      const has = Object.keys(en).some(key => pattern.test(key));
      expect([USED[i], has]).toEqual([USED[i], true]);
    });
  });

  it('has no entry that nobody uses', () => {
    const unused = Object.keys(en).filter(
      key => !HINT.test(key) && !PATTERNS.some(pattern => pattern.test(key))
    );
    expect(unused).toEqual([]);
  });

  it('is in Chinese where it is in Chinese', () => {
    const same = Object.keys(zh).filter(
      key => /[a-z]{4}/i.test(zh[key]) && zh[key] === en[key]
    );
    expect(same).toEqual(['settings.title']);
  });

  it('fills placeholders and leaves an unknown key as it is', () => {
    expect(text('en')('ui.models.found', { n: 3 })).toBe('Models found: 3');
    expect(text('zh')('ui.models.found', { n: 3 })).toBe('找到 3 个模型');
    expect(text('en')('ui.not.there')).toBe('ui.not.there');
  });

  it.each([
    ['zh_CN', 'zh'],
    ['zh-TW', 'zh'],
    ['en', 'en'],
    ['de_DE', 'en'],
    [undefined, 'en']
  ])('speaks for %s: %s', (code, language) => {
    expect(languageOf(code)).toBe(language);
  });
});

describe('the settings', () => {
  it('are in English as the catalogue has them, and can be translated', () => {
    expect(translated(schema, text('en'))).toEqual(schema);
    expect(translated(schema, text('zh')).properties?.pageSize.title).toBe(
      '每页条数'
    );
  });
});
