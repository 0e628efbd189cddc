"""What a server may do otherwise than Exchange 2016 does by Microsoft's pages.

The first group was seen in another EWS server ("facts: EWS servers and clients that we did not write, section 4").
The second group turns over what is only inferred about Exchange: whoever builds on it has to live without it.
"""

from enum import StrEnum


class Deviation(StrEnum):
    """Each is off until it is switched on by its name."""

    #: A stale change key is accepted, whatever ConflictResolution says.
    IGNORE_CONFLICTS = "ignore-conflicts"
    #: Attachment ids are positions, renumbered after each deletion.
    POSITIONAL_ATTACHMENT_IDS = "positional-attachment-ids"
    #: A created attachment can be seen for `lag` seconds, and is then gone.
    VANISHING_ATTACHMENTS = "vanishing-attachments"
    #: For `lag` seconds after a change, reads show what was before it.
    STALE_READS = "stale-reads"
    #: No DeletedEvent and no MovedEvent are told.
    NO_REMOVAL_EVENTS = "no-removal-events"
    #: ContentType, ContentId and IsInline of created attachments are dropped.
    PLAIN_ATTACHMENTS = "plain-attachments"
    #: Received time and message id of imported MIME are empty.
    BARE_IMPORT = "bare-import"
    #: IsDraft is false for drafts.
    NEVER_DRAFT = "never-draft"
    #: Dates carry nine decimals.
    DECIMAL_DATES = "decimal-dates"
    #: A changed read flag is told as an Update.
    NO_READ_FLAG_CHANGE = "no-read-flag-change"
    #: Unknown distinguished folders answer something that is no XML.
    MALFORMED_UNKNOWN_FOLDER = "malformed-unknown-folder"

    #: A page of what was found has two entries at the most, whatever was asked for (EWSD: ews-throttling-in-exchange).
    SHORT_PAGES = "short-pages"
    #: Folders have no PidTagLocalCommitTimeMax. Inferred: that they have one, and that it covers every change.
    NO_COMMIT_TIME = "no-commit-time"
    #: A changed read flag leaves the change key as it is. Inferred: that it does not.
    READ_KEEPS_CHANGE_KEY = "read-keeps-change-key"
    #: UpdateItem begins the predecessor change list anew, so that its counters go down (Microsoft: KB 4093129 says that
    #: Outlook in cached mode then may not show the change).
    LOST_PREDECESSORS = "lost-predecessors"
    #: Impersonated requests without X-AnchorMailbox get 503 (EWSD: impersonation-and-ews-in-exchange says: may).
    ANCHOR_REQUIRED = "anchor-required"
    #: There are several servers, one for each mailbox: a subscription is known only where it was made, and only who
    #: keeps the affinity of a group comes there again (EWSD: how-to-maintain-affinity...).
    MANY_SERVERS = "many-servers"

    #: Graph. Bodies of messages that are no drafts need no advanced permission: before 2026-12-31 (facts, 0).
    UNGATED_BODIES = "ungated-bodies"
    #: Graph. Attachments of messages that are no drafts need it too. Not said anywhere (facts, 0).
    GATED_ATTACHMENTS = "gated-attachments"
    #: Graph. If-Match means nothing. Inferred: that messages honour it (facts, A4).
    IGNORE_IF_MATCH = "ignore-if-match"
    #: Graph. Adding or removing an attachment leaves the change key as it is. Inferred: that it does not (facts, A3).
    ATTACHMENTS_KEEP_CHANGE_KEY = "attachments-keep-change-key"
    #: Graph. A folder's delta does not tell what was moved out of it. Inferred: that it does (facts, A1).
    UNTOLD_MOVES = "untold-moves"

    #: Graph. One request takes up to 4 MB, and an upload session begins with 2 MB: so they were measured in 2020
    #: (msgraph-sdk-java: pull request 52). Microsoft: outlook-large-attachments: 3 MB is the line.
    OVERLAPPING_UPLOADS = "overlapping-uploads"
    #: Graph. Of a batch, four requests for a mailbox are answered, and the others turned away without a time to wait
    #: (microsoft-graph-docs: issue 2886, outlook-dev-docs: issue 144). Microsoft: throttling-limits: all are answered.
    FOUR_OF_A_BATCH = "four-of-a-batch"
    #: Graph. Of the links in a change feed of mail, each gives way to the next, and only the last four are known
    #: (microsoft-graph-docs: issues 2162 and 2877). Microsoft: delta-query-overview does not say how long one lasts.
    FOUR_GENERATIONS = "four-generations"
    #: Graph. Messages that are read with extended properties are refused as too complex (davmail: issues 501 and 509:
    #: so it is in some mailboxes).
    TOO_COMPLEX = "too-complex"
    #: Graph. Nothing is deleted for good (Microsoft: message-permanentdelete: only the global cloud can).
    NO_PERMANENT_DELETE = "no-permanent-delete"

    #: Graph. `parentReference.path` of drive items is not percent-encoded. Inferred: that it is.
    PLAIN_PATHS = "plain-paths"
    #: Graph. Change feeds of drives have no `parentReference.path` (facts, B2: not always).
    DELTA_WITHOUT_PATHS = "delta-without-paths"
    #: Graph. Files come without `@microsoft.graph.downloadUrl`. Inferred: that whoever selects nothing gets it.
    NO_DOWNLOAD_URLS = "no-download-urls"
    #: Graph. Before each page of a drive's change feed comes an empty one (facts, A1: there may be).
    EMPTY_DELTA_PAGES = "empty-delta-pages"
    #: Graph. Each page of it begins with the last item of the page before (facts, A1: an item may come several times).
    REPEATED_DELTA_ITEMS = "repeated-delta-items"
    #: Graph. Folders have change feeds too. Inferred: that only the root of a drive has one (facts, B2).
    FOLDER_DELTA = "folder-delta"
    #: Graph. A file has no quickXorHash for `lag` seconds after it was written (facts, B3: it may be missing).
    LATE_HASHES = "late-hashes"
    #: Graph. Office files are changed when they are uploaded, so that size and hash differ (facts, B3).
    PROMOTED_PROPERTIES = "promoted-properties"
    #: Graph. Traffic without a decorated User-Agent is throttled at half of the limit (facts, B7: lower priority).
    UNDECORATED_FIRST = "undecorated-first"
    #: Graph. Preauthenticated URLs of files take a token, as rclone sends one. Inferred: that they do not (facts, B3).
    TOLERANT_URLS = "tolerant-urls"
    #: Graph. Items come back from the recycle bin. Microsoft: driveitem-restore: in OneDrive Personal only.
    RESTORABLE = "restorable"
    #: Graph. Identities in drives carry `email`, which no schema of Microsoft's knows. Inferred: that they do not.
    ADDRESSED_IDENTITIES = "addressed-identities"


#: Those that EWS knows nothing of.
OF_GRAPH = frozenset(
    {
        Deviation.UNGATED_BODIES,
        Deviation.GATED_ATTACHMENTS,
        Deviation.IGNORE_IF_MATCH,
        Deviation.ATTACHMENTS_KEEP_CHANGE_KEY,
        Deviation.UNTOLD_MOVES,
        Deviation.OVERLAPPING_UPLOADS,
        Deviation.FOUR_OF_A_BATCH,
        Deviation.FOUR_GENERATIONS,
        Deviation.TOO_COMPLEX,
        Deviation.NO_PERMANENT_DELETE,
        Deviation.PLAIN_PATHS,
        Deviation.DELTA_WITHOUT_PATHS,
        Deviation.NO_DOWNLOAD_URLS,
        Deviation.EMPTY_DELTA_PAGES,
        Deviation.REPEATED_DELTA_ITEMS,
        Deviation.FOLDER_DELTA,
        Deviation.LATE_HASHES,
        Deviation.PROMOTED_PROPERTIES,
        Deviation.UNDECORATED_FIRST,
        Deviation.TOLERANT_URLS,
        Deviation.RESTORABLE,
        Deviation.ADDRESSED_IDENTITIES,
    }
)
