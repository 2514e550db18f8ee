// Addresses as text that sorts as they do: the family, then the number in hexadecimal.
import { type Address, parseAddress } from '../ip/address.ts';

/** "40a010203" for 10.1.2.3; 33 characters for IPv6. Two families never lie between each other. */
export function addressKey({ family, value }: Address): string {
  return `${family}${value.toString(16).padStart(family === 4 ? 8 : 32, '0')}`;
}

/** Of an address as text, in any spelling. @throws ManifoldError 'bad-config' */
export const keyOfText = (text: string): string => addressKey(parseAddress(text));
