/** `--unlock VOLUME=KEYFILE`: keys of containers that a guest has encrypted. @module */
import { open } from 'node:fs/promises'
import { GranaryError, fromSystemError } from '@granary/core'
import type { Bytes } from '@granary/core'
import type { Argon2, BlockCiphers, OpenVolumesOptions, UnlockKey } from '@granary/guestfs'
import { blockCipher, blockCiphers as cipherTable, defaultArgon2Engine } from '@granary/transform'
import { listOption } from '../command.ts'
import type { Invocation, OptionRow } from '../command.ts'

/** As cryptsetup. */
const MAX_KEY_BYTES = 8 * 1024 * 1024
const LINE_FEED = 10

export const UNLOCK_OPTION: OptionRow = {
  flags: '--unlock <VOLUME=FILE>',
  description: 'open an encrypted volume (LUKS), by its id or UUID, with the passphrase or key in a file',
  values: 'file',
  isRepeated: true,
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT`, or what reading a file fails with */
export const unlockOptions = async (
  invocation: Invocation,
): Promise<Pick<OpenVolumesOptions, 'unlock' | 'argon2' | 'blockCiphers'>> => {
  const unlock: UnlockKey[] = []
  for (const text of listOption(invocation, 'unlock')) {
    const [, volume, path] = /^([^=]+)=(.+)$/s.exec(text) ?? []
    if (volume === undefined || path === undefined)
      throw new GranaryError('GRANARY_INVALID_ARGUMENT', '--unlock: expected VOLUME=FILE', {
        hint: '`granary volumes` shows the volumes',
      })
    const key = await readKey(path)
    unlock.push({ volume, key })
    // Editors and `echo` end a passphrase with a line feed that was not meant.
    if (key.at(-1) === LINE_FEED) unlock.push({ volume, key: key.subarray(0, -1) })
  }
  return { unlock, argon2, blockCiphers }
}

const readKey = async (path: string): Promise<Bytes> => {
  try {
    await using file = await open(path)
    const buffer = new Uint8Array(MAX_KEY_BYTES + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length)
      length += bytesRead
      if (bytesRead === 0) return buffer.slice(0, length)
      if (length > MAX_KEY_BYTES)
        throw new GranaryError('GRANARY_LIMIT', `${path}: a key file has at most ${MAX_KEY_BYTES} bytes`)
    }
  } catch (error) {
    throw fromSystemError(error, `reading the key file ${path}`)
  }
}

const argon2: Argon2 = async ({ variant, password, salt, memoryKiB, passes, lanes, lengthBytes }) =>
  await defaultArgon2Engine().hash(password, salt, { memoryKiB, passes, lanes }, lengthBytes, variant)

const BLOCK_BITS = 128

const blockCiphers: BlockCiphers = (name, key) => {
  const sizes = cipherTable.find(cipher => cipher.name === name)?.sizes
  const fits = sizes?.some(({ blockBits, keyBits }) => blockBits === BLOCK_BITS && keyBits.includes(key.length * 8))
  return fits === true ? blockCipher(name, key, { blockBits: BLOCK_BITS }) : undefined
}
