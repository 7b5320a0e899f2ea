/**
 * The rule for command lines: only regular files inside given folders.
 *
 * CVE-2024-4467 and CVE-2024-32498 are what happens without one: an image named `/etc/passwd` or a
 * `json:` description as its data file, and the host read it out.
 *
 * @module
 */
import { constants } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve } from 'node:path'
import { corrupt, unsupported } from './format.ts'
import { fileError, openFileToRead } from './node-file.ts'
import type { RandomFile } from './random-file.ts'
import type { FileReference, ResolveReference } from './references.ts'

const HINT = 'allow its folder, if you trust whoever made the image'

/**
 * Allows regular files whose real place is inside one of `folders`, or below. Never a `json:` description, a URL, a device,
 * a FIFO, a link that leads out, or a backing file whose format the image does not state. Relative names count from the
 * folder of the image that holds them.
 *
 * @param folders such as the folder of the image itself, and what the user adds
 */
export const filesInFolder = (folders: readonly string[]): ResolveReference => {
  return async reference => {
    const format = formatOf(reference)
    const named = pathOf(reference)
    const path = await realPath(named, reference)
    const allowed = await Promise.all(folders.map(folder => realPath(folder, reference)))
    if (!allowed.some(folder => isInside(folder, path)))
      throw unsupported(
        `the ${reference.kind} file ${path} is outside the allowed folders`,
        { kind: reference.kind, path },
        HINT,
      )
    return { file: await openReal(path, reference), format, location: path }
  }
}

const formatOf = ({ kind, name, format }: FileReference): 'raw' | 'qcow2' => {
  if (format === 'raw' || format === 'qcow2') return format
  if (format === undefined)
    throw unsupported(
      `the image does not state the format of its ${kind} file ${JSON.stringify(name)}, and guessing it is not safe`,
      { kind, name },
      'state it with: qemu-img rebase -u -F FORMAT -b FILE IMAGE',
    )
  throw unsupported(`the ${kind} file ${JSON.stringify(name)} has the format ${JSON.stringify(format)}`, {
    kind,
    name,
    format,
  })
}

/** QEMU takes a colon before the first slash as the end of a protocol's name. */
const PROTOCOL = /^[^/]*:/

const pathOf = ({ kind, name, from }: FileReference): string => {
  if (name === '') throw unsupported(`the image does not name its ${kind} file`, { kind })
  if (name.includes('\0')) throw corrupt(`the name of the ${kind} file holds a zero byte`, { kind })
  if (PROTOCOL.test(name))
    throw unsupported(`the ${kind} file ${JSON.stringify(name)} is a URL or a description, not a file`, { kind, name })
  if (isAbsolute(name)) return name
  if (from === undefined)
    throw unsupported(`the ${kind} file ${JSON.stringify(name)} counts from an unknown folder`, { kind, name })
  return resolve(dirname(from), name)
}

const realPath = async (path: string, { kind }: FileReference): Promise<string> => {
  try {
    return await realpath(path)
  } catch (error) {
    throw fileError(error, `looking for the ${kind} file ${path}`)
  }
}

const isInside = (folder: string, path: string): boolean => {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way)
}

/** Opens what was checked and nothing else: no link is followed, and the file must still be at that place afterwards. */
const openReal = async (path: string, reference: FileReference): Promise<RandomFile> => {
  const file = await openFileToRead(path, constants.O_NOFOLLOW)
  const { dev, ino } = await lstat(path, { bigint: true })
  if ((await realPath(path, reference)) === path && `${dev}:${ino}` === file.identity) return file
  await file[Symbol.asyncDispose]?.()
  throw unsupported(`the ${reference.kind} file ${path} was exchanged while it was opened`, {
    kind: reference.kind,
    path,
  })
}
