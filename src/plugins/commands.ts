import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';

import { copy } from '../hosts/browser';
import { ISidebar } from '../tokens';

export const CommandIDs = {
  openModels: 'modelnook:open-models',
  openRuns: 'modelnook:open-runs',
  insert: 'modelnook:insert'
};

const LOAD = '%load_ext modelnook';
const NO_ARGS = { type: 'object' as const, properties: {} };

/**
 * What the palette, menus and the sidebar call.
 */
export const commands: JupyterFrontEndPlugin<void> = {
  id: 'modelnook:commands',
  description: 'Opens the tabs, puts a model into a notebook.',
  autoStart: true,
  requires: [ISidebar],
  optional: [ICommandPalette, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    sidebar: ISidebar,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null
  ): void => {
    const { commands } = app;
    commands.addCommand(CommandIDs.openModels, {
      label: () => sidebar.text('ui.command.open_models'),
      caption: () => sidebar.text('ui.command.open_models_caption'),
      describedBy: { args: NO_ARGS },
      execute: () => sidebar.show('models')
    });
    commands.addCommand(CommandIDs.openRuns, {
      label: () => sidebar.text('ui.command.open_runs'),
      caption: () => sidebar.text('ui.command.open_runs_caption'),
      describedBy: { args: NO_ARGS },
      execute: () => sidebar.show('runs')
    });
    commands.addCommand(CommandIDs.insert, {
      label: () => sidebar.text('ui.command.insert'),
      caption: () => sidebar.text('ui.command.insert_caption'),
      describedBy: {
        args: {
          type: 'object',
          properties: {
            code: { type: 'string', description: 'The text of the cell' }
          }
        }
      },
      execute: async args => {
        const code = String(args.code ?? '%model');
        if (!insert(notebooks, code)) {
          const said = (await copy(code))
            ? 'ui.insert.no_notebook'
            : 'ui.insert.no_notebook_typed';
          Notification.info(sidebar.text(said, { code }), { autoClose: 6000 });
        }
      }
    });
    Object.values(CommandIDs).forEach(command => {
      palette?.addItem({ command, category: 'modelnook' });
    });
  }
};

/**
 * Put code into a new cell below the active one, or into the active one where that is empty; below the cell that loads
 * the extension in any case. A notebook that doesn't load it yet gets the line that does. False where no notebook is in front.
 */
function insert(notebooks: INotebookTracker | null, code: string): boolean {
  const content = notebooks?.currentWidget?.content;
  if (!content?.model) {
    return false;
  }
  const loaded = content.widgets.findIndex(cell =>
    cell.model.sharedModel.source.includes(LOAD)
  );
  if (loaded > content.activeCellIndex) {
    content.activeCellIndex = loaded;
  }
  const active = content.activeCell?.model;
  if (active?.type !== 'code' || active.sharedModel.source.trim()) {
    NotebookActions.insertBelow(content);
  }
  content.activeCell?.model.sharedModel.setSource(
    loaded >= 0 ? code : `${LOAD}\n${code}`
  );
  content.activate();
  return true;
}
