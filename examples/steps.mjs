// What the longer examples have in common: they do a thing in steps, and show at the end what came of each, and how fast.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '@granary/core'

/** Steps that are noted as they are done. */
export const createSteps = () => {
  const rows = []
  return {
    /** Does a step and notes how long it took. `describe` says what came of it, and how many bytes of disk it was about. */
    step: async (what, work, describe) => {
      const startMs = performance.now()
      const result = await work()
      const seconds = (performance.now() - startMs) / 1000
      const { text, bytes } = describe(result)
      rows.push([what, text, `${seconds.toFixed(2)} s`, bytes === undefined ? '' : `${formatBytes(bytes / seconds)}/s`])
      return result
    },
    print: () => printTable(['STEP', 'RESULT', 'TIME', 'RATE'], rows),
  }
}

const printTable = (header, lines) => {
  const widths = header.map((title, column) => Math.max(...[header, ...lines].map(line => line[column].length)))
  for (const line of [header, ...lines])
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
}

/** What the files of a folder take, bytes. */
export const folderBytes = async folder => {
  const names = await readdir(folder, { recursive: true })
  const sizes = await Promise.all(names.map(async name => await stat(join(folder, name))))
  return sizes.reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0)
}
