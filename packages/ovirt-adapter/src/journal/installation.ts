/** The id of this installation: what we make on an engine carries it, so that two installations leave each other's alone. @module */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, fromSystemError } from '@granary/core'

const FILE = 'installation'
const ID = /^[0-9a-f]{16}$/

/**
 * The installation's id, made at the first call. Two that make it at once get the same.
 *
 * @param folder is made when it isn't there
 * @throws GranaryError `GRANARY_CORRUPT` when the file holds something else
 */
export const installationId = async (folder: string): Promise<string> => {
  const path = join(folder, FILE)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const known = await readId(path)
    if (known !== undefined) return known
    const mine = `${path}.${randomBytes(4).toString('hex')}`
    const handle = await open(mine, 'wx', 0o600)
    await handle.writeFile(`${randomBytes(8).toString('hex')}\n`)
    await handle.sync()
    await handle.close()
    await link(mine, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await rm(mine)
    return (await readId(path)) as string
  } catch (error) {
    throw fromSystemError(error, `reading ${path}`)
  }
}

const readId = async (path: string): Promise<string | undefined> => {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined || ID.test(text.trim())) return text?.trim()
  throw new GranaryError('GRANARY_CORRUPT', `${path}: expected 16 hexadecimal digits`, {
    detail: { path },
    hint: 'put the file back from a backup: what earlier runs left on engines is known by it',
  })
}
