import '../../labextension/style/views.css';
import type { IWidgetModel } from '../data/comm';
import { CommProvider } from '../data/comm';
import { mount } from '../mount';
import { languageOf } from '../text';
import type { ViewName } from '../views';
import { BROWSER_ACTIONS } from './browser';

/**
 * The anywidget module: a comm on one side, a view on the other. Traits: `view params lang state live`.
 */
function render({
  model,
  el
}: {
  model: IWidgetModel;
  el: HTMLElement;
}): () => void {
  const end = new AbortController();
  const options = () => ({
    params: (model.get('params') ?? {}) as Record<string, unknown>,
    language: languageOf(model.get('lang') as string),
    place: 'cell' as const,
    actions: BROWSER_ACTIONS
  });
  const mounted = mount(
    el,
    (model.get('view') || 'run') as ViewName,
    new CommProvider(model, end.signal),
    options()
  );
  const onChange = () => mounted.update(options());
  model.on('change:params', onChange);
  model.on('change:lang', onChange);
  return () => {
    model.off('change:params', onChange);
    model.off('change:lang', onChange);
    mounted.dispose();
    end.abort();
  };
}

export default { render };
