/**
 * The same keys as TOML: `timeout = 20`, `curl_verbose = true`, `engine = "https://engine.example"`.
 *
 * @see https://toml.io/en/v1.0.0
 * @module
 */
import { TomlError, parse } from 'smol-toml'
import type { ConfigEntry, ConfigProblem } from './entries.ts'

export const readTomlFile = (text: string): { entries: ConfigEntry[]; problems: ConfigProblem[] } => {
  const entries: ConfigEntry[] = []
  const problems: ConfigProblem[] = []
  try {
    const lines = lineOfKeys(text)
    for (const [key, value] of Object.entries(parse(text, { maxDepth: 8, unsafeKeyBehaviour: 'throw' }))) {
      const line = lines.get(key) ?? 1
      if (typeof value === 'boolean') entries.push({ key, value: value ? 'yes' : 'no', line })
      else if (typeof value === 'string' || typeof value === 'number') entries.push({ key, value: String(value), line })
      else problems.push({ line, key, message: 'expected a text, a number, true or false' })
    }
  } catch (error) {
    // The message goes on to quote the file, where a password may stand.
    const [reason = 'it is no TOML'] = (error as Error).message.split('\n')
    problems.push({ ...(error instanceof TomlError ? { line: error.line } : {}), message: reason })
  }
  return { entries, problems }
}

/** Where each key begins. Ours are bare keys at the start of a line; of another spelling the first line is told. */
const lineOfKeys = (text: string): Map<string, number> => {
  const lines = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    const key = /^\s*(?:\[+\s*)?["']?([A-Za-z0-9_-]+)/.exec(line)?.[1]
    if (key !== undefined && !lines.has(key)) lines.set(key, index + 1)
  }
  return lines
}
