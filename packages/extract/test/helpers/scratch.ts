/** Folders of tests. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Teardown {
  teardown(action: () => void): void
}

/** A folder of the test's own, removed at its end. */
export const scratchFolder = (t: Teardown): string => {
  const folder = mkdtempSync(join(tmpdir(), 'granary-extract-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const isRoot = process.geteuid?.() === 0

const NOBODY = 65_534

/** Runs something as an ordinary user, where the test is root. */
export const asNobody = async <Result>(run: () => Promise<Result>): Promise<Result> => {
  if (!isRoot) return await run()
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([])
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
  try {
    return await run()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
}
