/** Date and time as DOS packs them. @see Microsoft FAT specification (fatgen103), section "Date and Time Formats" @module */

/**
 * Nanoseconds since 1970 as if the time were UTC, or undefined when there is no date.
 *
 * @param hundredths 0 to 199, added to the even seconds of `time`
 */
export const dosTime = (date: number, time: number, hundredths = 0): bigint | undefined => {
  const day = date & 0x1f
  const month = (date >> 5) & 0xf
  if (day === 0 || month === 0) return undefined
  const milliseconds = Date.UTC(
    1980 + (date >> 9),
    month - 1,
    day,
    time >> 11,
    (time >> 5) & 0x3f,
    (time & 0x1f) * 2,
    Math.min(hundredths, 199) * 10,
  )
  return BigInt(milliseconds) * 1_000_000n
}
