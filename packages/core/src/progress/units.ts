/** Sizes, rates and times as people write them. Programs get plain numbers. @module */
import { GranaryError } from '../errors.ts'

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1.5 KiB`, `640 MiB`: three digits at least, binary units. */
export const formatBytes = (bytes: number): string => {
  const power = Math.min(Math.max(Math.floor(Math.log2(Math.max(Math.abs(bytes), 1)) / 10), 0), BINARY_UNITS.length - 1)
  // 1023.96 KiB rounds up to 1024, which reads better as 1.00 MiB.
  const isRoundedUp = power > 0 && power < BINARY_UNITS.length - 1 && Math.abs(bytes) / 1024 ** power >= 1023.5
  const unit = isRoundedUp ? power + 1 : power
  const value = bytes / 1024 ** unit
  return `${unit === 0 ? String(Math.round(bytes)) : threeDigits(value)} ${BINARY_UNITS[unit]}`
}

const threeDigits = (value: number): string => {
  const size = Math.abs(value)
  if (size >= 99.95) return value.toFixed(0)
  return value.toFixed(size >= 9.995 ? 1 : 2)
}

/** `640 MiB/s`. */
export const formatRate = (bytesPerSecond: number): string => `${formatBytes(bytesPerSecond)}/s`

/** `0:07`, `12:04`, `1:00:12`, `2d 03:00:00`: minutes and seconds, then hours, then days. */
export const formatDuration = (seconds: number): string => {
  const whole = Math.max(Math.round(seconds), 0)
  const days = Math.floor(whole / 86_400)
  const hours = Math.floor((whole % 86_400) / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  const rest = pad(whole % 60)
  if (days > 0) return `${days}d ${pad(hours)}:${pad(minutes)}:${rest}`
  return hours > 0 ? `${hours}:${pad(minutes)}:${rest}` : `${minutes}:${rest}`
}

const pad = (part: number): string => String(part).padStart(2, '0')

/** Powers by letter: `k`, `K` and `KiB` are 1024 as in qemu-img and restic; `kB` and `MB` are the SI's 1000. */
const POWERS: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 }

/**
 * Reads `4096`, `128k`, `4MiB`, `1.5G`, `20 GB` as bytes.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is no size, not a whole number of bytes, or 2^53 and more
 */
export const parseBytes = (text: string): number => {
  const match = /^(\d{1,16}(?:\.\d{1,9})?) ?([kmgtp]?)(ib|b)?$/i.exec(text.trim())
  const [, digits, letter = '', suffix = ''] = match ?? []
  const base = letter !== '' && suffix.toLowerCase() === 'b' ? 1000 : 1024
  const bytes = Number(digits) * base ** (POWERS[letter.toLowerCase()] ?? 0)
  const isBytes = Number.isSafeInteger(bytes) && !(letter === '' && suffix.toLowerCase() === 'ib')
  if (isBytes) return bytes
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', `"${text}" is no size: expected a number such as 128k or 4MiB`, {
    detail: { text },
  })
}
