/** The number and time formats of ECMA-119, section 8. @module */
import type { Bytes } from '@granary/core'

/** 7.2.3 and 7.3.3: a number in both byte orders, little-endian first. */
export const setBoth16 = (view: DataView, at: number, value: number): void => {
  view.setUint16(at, value, true)
  view.setUint16(at + 2, value, false)
}

export const setBoth32 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value, true)
  view.setUint32(at + 4, value, false)
}

/** Characters filled up with spaces. */
export const setText = (bytes: Bytes, { at, length }: { at: number; length: number }, text: string): void => {
  bytes.fill(0x20, at, at + length)
  bytes.set(Buffer.from(text.slice(0, length), 'latin1'), at)
}

/** A point in time as Date understands it; the calendar below must not fail on what a guest wrote. */
export const dateOf = (ns: bigint): Date => {
  const date = new Date(Number(ns / 1_000_000n))
  return Number.isNaN(date.getTime()) ? new Date(0) : date
}

/** 9.1.5 counts years from 1900 in one byte. */
export const fitsShortDate = (ns: bigint): boolean => {
  const year = dateOf(ns).getUTCFullYear()
  return year >= 1900 && year <= 2155
}

/** 9.1.5, 7 bytes: whole seconds, UTC. What is out of its range is shown as its nearest year. */
export const shortDate = (ns: bigint): Bytes => {
  const date = dateOf(ns)
  const year = Math.min(Math.max(date.getUTCFullYear(), 1900), 2155)
  return Uint8Array.of(
    year - 1900,
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
    0,
  )
}

/** 8.4.26.1, 17 bytes: digits, hundredths of a second, UTC. */
export const longDate = (ns: bigint): Bytes => {
  const date = dateOf(ns)
  const digits = (value: number, length: number): string => String(value).padStart(length, '0')
  const text = [
    digits(Math.min(Math.max(date.getUTCFullYear(), 1), 9999), 4),
    digits(date.getUTCMonth() + 1, 2),
    digits(date.getUTCDate(), 2),
    digits(date.getUTCHours(), 2),
    digits(date.getUTCMinutes(), 2),
    digits(date.getUTCSeconds(), 2),
    digits(Math.floor(date.getUTCMilliseconds() / 10), 2),
  ].join('')
  return Uint8Array.from([...Buffer.from(text), 0])
}
