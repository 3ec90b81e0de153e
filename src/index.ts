import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { commands } from './plugins/commands';
import { settings } from './plugins/settings';
import { sidebar } from './plugins/sidebar';

export * from './tokens';

const plugins: JupyterFrontEndPlugin<unknown>[] = [sidebar, commands, settings];

export default plugins;
