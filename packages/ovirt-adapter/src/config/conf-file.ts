/**
 * `rb_module_ovirt.conf`: one `key value` a line. A line that begins with `#` is a comment; a `#` later in a line belongs to the
 * value, which runs to the end of the line.
 *
 * @module
 */
import type { ConfigEntry, ConfigProblem } from './entries.ts'

export const readConfFile = (text: string): { entries: ConfigEntry[]; problems: ConfigProblem[] } => {
  const entries: ConfigEntry[] = []
  const problems: ConfigProblem[] = []
  for (const [index, whole] of text.split(/\r\n|\r|\n/).entries()) {
    const content = whole.trim()
    if (content === '' || content.startsWith('#')) continue
    const [, key = '', value = ''] = /^(\S+)\s*(.*)$/.exec(content) ?? []
    const line = index + 1
    if (value === '') problems.push({ line, key, message: 'it has no value' })
    else entries.push({ key, value, line })
  }
  return { entries, problems }
}
