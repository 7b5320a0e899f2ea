/** Finds out, before a repository is made, whether a file system keeps what the file backend relies on. @module */
import { dirname, join } from 'node:path'
import { GranaryError } from '@granary/core'
import { temporaryName } from './file-layout.ts'
import type { FileSystemPort } from './file-system-port.ts'
import { systemCode, systemError } from './system-error.ts'

/** Contenders for one name. */
const RACERS = 8

/**
 * Makes the folder when it is missing, and tries links, their exclusiveness under contention, and fsync in it.
 * @throws GranaryError GRANARY_UNSUPPORTED when decisions would not be safe there
 * @throws GranaryError GRANARY_PERMISSION, GRANARY_NO_SPACE, GRANARY_IO when it cannot be written
 */
export const probeFolder = async (fs: FileSystemPort, root: string): Promise<void> => {
  try {
    await makeFolders(fs, root)
  } catch (error) {
    throw systemError(error, `cannot make the folder ${root}`)
  }
  const target = join(root, temporaryName(''))
  const racers = Array.from({ length: RACERS }, () => join(root, temporaryName('')))
  try {
    await attempt(root, 'fsync of files', Promise.all(racers.map(async path => await writeProbe(fs, path))))
    await probeLinks(fs, root, racers, target)
    await attempt(root, 'fsync of folders', fs.syncFolder(root))
  } finally {
    await Promise.all([target, ...racers].map(async path => await fs.unlink(path).catch(() => undefined)))
  }
}

const makeFolders = async (fs: FileSystemPort, path: string): Promise<void> => {
  try {
    await fs.createFolder(path)
  } catch (error) {
    const system = systemCode(error)
    if (system === 'EEXIST' && (await fs.stat(path)).kind === 'folder') return
    if (system !== 'ENOENT' || dirname(path) === path) throw error
    await makeFolders(fs, dirname(path))
    await fs.createFolder(path)
  }
  await fs.syncFolder(dirname(path))
}

const writeProbe = async (fs: FileSystemPort, path: string): Promise<void> => {
  const file = await fs.create(path)
  try {
    await file.write(Buffer.from(path), 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Exactly one of several links to one name, made at once and later, must work, the name must then be that file, and the others must hear EEXIST. */
const probeLinks = async (
  fs: FileSystemPort,
  root: string,
  racers: readonly string[],
  target: string,
): Promise<void> => {
  const [late, ...early] = racers
  const outcomes = await Promise.allSettled(early.map(async path => await fs.link(path, target)))
  outcomes.push(...(await Promise.allSettled([fs.link(late as string, target)])))
  for (const outcome of outcomes)
    if (outcome.status === 'rejected' && systemCode(outcome.reason) !== 'EEXIST')
      await attempt(root, 'hard links', Promise.reject(outcome.reason))
  const winners = [...early, late as string].filter((_, i) => outcomes[i]?.status === 'fulfilled')
  const [winner] = winners
  const isRight =
    winner !== undefined &&
    winners.length === 1 &&
    (await fs.stat(winner)).identity === (await fs.stat(target)).identity
  if (!isRight) throw refusal(root, 'exclusive hard links', { winners: winners.length, expected: 1 })
}

/** What a file system says that cannot do something; EPERM is the answer of FAT to a link, EINVAL that of some to an fsync of a folder. */
const CANNOT = new Set(['EPERM', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EBADF', 'ENOTTY'])

const attempt = async (root: string, feature: string, work: Promise<unknown>): Promise<void> => {
  try {
    await work
  } catch (error) {
    const system = systemCode(error)
    if (system === undefined || !CANNOT.has(system)) throw systemError(error, `cannot write to ${root}`)
    throw refusal(root, feature, { system }, error)
  }
}

const refusal = (
  root: string,
  feature: string,
  detail: Record<string, string | number>,
  cause?: unknown,
): GranaryError =>
  new GranaryError('GRANARY_UNSUPPORTED', `the file system of ${root} lacks ${feature}, which commits rely on`, {
    cause,
    detail: { location: root, feature, ...detail },
    hint: 'Put the repository on a file system such as ext4, XFS, Btrfs, ZFS or NFS.',
  })
