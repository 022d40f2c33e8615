/** A process with a Python script, for tests that kill it, or see it end. */
import { action } from '../../nodes'

const { SCRIPT: code = '', PYTHON: interpreter = 'python3' } = process.env
const python = new action.Python({ code, interpreter }, { printed: (line) => console.log(line) })
void python.call('measurement', {}).then(() => python.close())
