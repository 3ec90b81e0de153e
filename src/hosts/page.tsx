import '../../labextension/style/views.css';
import recording from '../../tests/ui/recorded.json';
import { FakeProvider } from '../data/fake';
import { mount } from '../mount';
import { languageOf } from '../text';
import type { ViewName } from '../views';
import { BROWSER_ACTIONS } from './browser';

/**
 * A page that shows any view on recorded data, without a server:
 * `index.html?view=run&lang=zh&theme=dark&params={"run":"…"}&place=cell`.
 */
const query = new URLSearchParams(location.search);
const el = document.getElementById('view');

document.body.dataset.jpThemeLight = String(query.get('theme') !== 'dark');
if (el) {
  const provider = new FakeProvider({
    ...recording,
    info: ({ ref }: { ref: string }) =>
      recording.search.items.find((one: { ref: string }) => one.ref === ref),
    run: ({ run }: { run: string }) =>
      recording.runs.items.find((one: { id: string }) => one.id === run)
  });
  provider.live = query.get('live') !== 'false';
  mount(el, (query.get('view') ?? 'sidebar') as ViewName, provider, {
    params: JSON.parse(query.get('params') ?? '{}'),
    language: languageOf(query.get('lang')),
    place: query.get('place') === 'cell' ? 'cell' : 'panel',
    actions: {
      ...BROWSER_ACTIONS,
      ...(query.get('place') !== 'cell' && {
        insertCell: (code: string) => {
          document.title = code;
        }
      })
    }
  });
}
