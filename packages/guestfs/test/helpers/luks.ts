/** Encrypted disks, made by cryptsetup and by QEMU. @module */
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const MIB = 1024 * 1024
const HEADER_BYTES = 32 * MIB

export interface CryptsetupOptions {
  /** Beside the key file and the size of the header. */
  readonly words: readonly string[]
  readonly key: string
}

const hasProgram = (program: string): boolean => spawnSync('which', [program]).status === 0

export const cryptsetupSkip = hasProgram('cryptsetup') ? false : 'the program cryptsetup is not here'
export const qemuSkip = hasProgram('qemu-img') ? false : 'the program qemu-img is not here'

/** Encrypts a disk in place, without the kernel: cryptsetup has the ciphers itself. */
export const encryptByCryptsetup = (plain: string, target: string, { words, key }: CryptsetupOptions): void => {
  const keyFile = `${target}.key`
  writeFileSync(keyFile, key)
  copyFileSync(plain, target)
  const { size } = JSON.parse(execFileSync('stat', ['-c', '{"size":%s}', plain]).toString()) as { size: number }
  truncateSync(target, size + HEADER_BYTES)
  execFileSync(
    'cryptsetup',
    [
      'reencrypt',
      '-q',
      '--encrypt',
      '--reduce-device-size',
      String(HEADER_BYTES),
      '--key-file',
      keyFile,
      ...words,
      target,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
}

/** LUKS1 of QEMU's making. It measures the processor, and gives up when that is busy: then once more. */
export const encryptByQemu = (plain: string, target: string, options: string, key: string): void => {
  const words = [
    'convert',
    '-O',
    'luks',
    '--object',
    `secret,id=s,data=${key}`,
    '-o',
    `key-secret=s,${options}`,
    plain,
    target,
  ]
  for (let tries = 20; ; tries--) {
    const { status, stderr } = spawnSync('qemu-img', words)
    if (status === 0) return
    if (tries === 0 || !String(stderr).includes('CPU usage')) throw new Error(`qemu-img: ${String(stderr)}`)
  }
}

/** An ext4 with one file of random bytes. */
export const plainDisk = (folder: string, content: Uint8Array): string => {
  const [top, path] = [join(folder, 'top'), join(folder, 'plain.raw')]
  execFileSync('mkdir', ['-p', top])
  writeFileSync(join(top, 'file'), content)
  writeFileSync(path, '')
  truncateSync(path, 8 * MIB)
  execFileSync('mkfs.ext4', ['-q', '-F', '-b', '4096', '-d', top, path])
  return path
}
