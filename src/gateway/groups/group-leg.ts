import type { UserId } from '../../imps/index.js';
import type { Dialog } from '../../sip/stack.js';
import type { PhoneMedia } from '../sessions/phone-media.js';
import type { GroupMember } from '../sessions/session-records.js';
import type { GroupLink } from './group-links.js';

/** A phone of this server as a participant: its IMPS session, and who it is on the SIP side. */
export interface Participation {
  /** Session-ID of the IMPS session. */
  readonly session: string;
  readonly user: UserId;
  /** Identity and key of its registration set; of a user who has none, its `wv:` address (document 003 §5.1.1.2). */
  readonly identity: string;
  readonly set: string;
}

/** Somebody in the group, as phones see it. */
export interface ShownMember {
  readonly wv: UserId;
  readonly screenName: string;
}

/** The session of one phone with the focus of a group: a dialog, its MSRP, and the subscription to who is in. */
export class GroupLeg {
  /** Call-ID and our tag. */
  readonly id: string;
  readonly link: GroupLink;
  readonly phone: Participation;
  readonly dialog: Dialog;
  readonly media: PhoneMedia;
  subscription: Dialog | undefined;
  /** By URI, as the focus shows them. */
  readonly members = new Map<string, ShownMember>();

  constructor(options: {
    readonly link: GroupLink;
    readonly phone: Participation;
    readonly dialog: Dialog;
    readonly media: PhoneMedia;
  }) {
    this.link = options.link;
    this.phone = options.phone;
    this.dialog = options.dialog;
    this.media = options.media;
    this.id = `${this.dialog.callId}\t${this.dialog.localTag}`;
  }

  /** As it is kept for whoever comes after this process. */
  get member(): GroupMember {
    return { group: this.link.group, session: this.phone.session };
  }

  /** The URI by which the focus knows somebody whom the phone sees. */
  uriOf(wv: UserId): string | undefined {
    for (const [uri, member] of this.members) if (member.wv === wv) return uri;
    return undefined;
  }

  /** Leaves. @param reason value of Reason: with cause 200 for good, else to come back (RFC 3326) */
  async end(reason: string): Promise<void> {
    await this.dialog.destroy({ Reason: reason });
  }

  close(): void {
    this.media.close();
  }
}
