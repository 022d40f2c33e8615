/** A process with a Python script, for a test that kills it. */
import { action } from '../../nodes'

const { SCRIPT: code = '', PYTHON: interpreter = 'python3' } = process.env
const python = new action.Python({ code, interpreter }, { printed: (line) => console.log(line) })
void python.call('measurement', {})
