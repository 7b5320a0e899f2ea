/** What could not be given to files for want of rights: one JSON object a line in `.granary-owners.jsonl`. @module */
import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { Name, Stat } from '@granary/guestfs'
import { onTarget } from '../report.ts'
import type { OpenFolder } from './open-folder.ts'

export const OWNERS_FILE = '.granary-owners.jsonl'
const NAME: Bytes = Buffer.from(OWNERS_FILE)

export interface OwnersRow {
  readonly path: string
  /** The bytes of the path, hexadecimal, where they are no UTF-8. */
  readonly pathHex?: string
  readonly type: Stat['type']
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** Octal. */
  readonly mode?: string | undefined
  /** Time of change, nanoseconds as text: of a device that was not made. */
  readonly mtime?: string | undefined
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>> | undefined
  /** Of a device that was not made. */
  readonly rdev?: readonly [major: number, minor: number] | undefined
}

export interface OwnersLog extends AsyncDisposable {
  add(row: OwnersRow): Promise<void>
}

/** A link is not followed, and a pipe makes nobody wait. */
const NO_TRAPS = constants.O_NOFOLLOW | constants.O_NONBLOCK

/** A pipe or a device is no list, and a file with another name may be anybody's. Closes what it refuses. */
const refuseTraps = async (handle: FileHandle): Promise<void> => {
  const found = await handle.stat()
  if (found.isFile() && found.nlink === 1) return
  await handle.close()
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${OWNERS_FILE} is no file of its own`, {
    detail: { links: found.nlink },
    hint: 'somebody put it there: look at it, and remove it',
  })
}

/**
 * Begins the list at the top of the target, before anything of the guest is there: a guest's file of this name is then
 * one that exists already. An empty list goes when it is closed; one of an earlier extraction is continued.
 */
export const openOwnersLog = async (folder: OpenFolder): Promise<OwnersLog> => {
  const { O_APPEND, O_CREAT, O_WRONLY } = constants
  const path = folder.at(NAME)
  const handle: FileHandle = await onTarget(`opening ${OWNERS_FILE}`, () =>
    open(path, O_WRONLY | O_CREAT | O_APPEND | NO_TRAPS, 0o600),
  )
  await refuseTraps(handle)
  let isOpen = true
  return {
    async add(row) {
      await onTarget(`writing ${OWNERS_FILE}`, async () => await handle.appendFile(`${JSON.stringify(row)}\n`))
    },
    async [Symbol.asyncDispose]() {
      if (!isOpen) return
      isOpen = false
      const { size } = await handle.stat()
      await handle.close()
      if (size === 0) await unlink(path)
    },
  }
}

/** The path of a row, with its bytes where they are told apart. */
export const pathFields = ({ text, bytes }: Name): Pick<OwnersRow, 'path' | 'pathHex'> => ({
  path: text,
  ...(bytes === undefined ? {} : { pathHex: Buffer.from(bytes).toString('hex') }),
})

/** A line is never longer: a path and attributes of 64 KiB each, of which there are few. */
const MAX_LINE_BYTES = 16 * 1024 * 1024

/** Rows of a list. @throws GranaryError `GRANARY_CORRUPT` when a line is none */
export async function* readOwnersLog(folder: OpenFolder): AsyncGenerator<OwnersRow, void, undefined> {
  await using handle = await onTarget(`opening ${OWNERS_FILE}`, () =>
    open(folder.at(NAME), constants.O_RDONLY | NO_TRAPS),
  )
  await refuseTraps(handle)
  let number = 0
  for await (const line of handle.readLines({ autoClose: false })) {
    number++
    if (line.length > MAX_LINE_BYTES) throw bad(number, 'it is too long')
    yield parseRow(line, number)
  }
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isId = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32
const matches =
  (pattern: RegExp) =>
  (value: unknown): boolean =>
    typeof value === 'string' && pattern.test(value)

/** What each field may be, where it is there. */
const FIELDS: Readonly<Record<keyof OwnersRow, (value: unknown) => boolean>> = {
  path: isText,
  pathHex: matches(/^([0-9a-f]{2})+$/),
  type: matches(/^(file|dir|symlink|chr|blk|fifo|socket)$/),
  uid: isId,
  gid: isId,
  mode: matches(/^[0-7]{4}$/),
  mtime: matches(/^-?[0-9]{1,20}$/),
  xattrs: value => typeof value === 'object' && value !== null && Object.values(value).every(isText),
  rdev: value => Array.isArray(value) && value.length === 2 && value.every(isId),
}

const parseRow = (line: string, number: number): OwnersRow => {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch (error) {
    throw bad(number, String(error))
  }
  const fields = new Map(Object.entries(typeof row === 'object' && row !== null ? row : {}))
  const isRow =
    fields.has('path') &&
    fields.has('type') &&
    Object.entries(FIELDS).every(([name, isValid]) => !fields.has(name) || isValid(fields.get(name)))
  if (!isRow) throw bad(number, 'it has not the fields of one')
  return row as OwnersRow
}

const bad = (number: number, why: string): GranaryError =>
  new GranaryError('GRANARY_CORRUPT', `${OWNERS_FILE}, line ${number}: ${why}`, { detail: { line: number } })
