"""The MAPI properties of a message that a trial compares: names, tags and types as [MS-OXPROPS] has them."""

import base64
from collections.abc import Iterator

_TAGGED = """
0017 Integer Importance
001a String MessageClass
0023 Boolean OriginatorDeliveryReportRequested
0026 Integer Priority
0029 Boolean ReadReceiptRequested
002b Boolean RecipientReassignmentProhibited
002e Integer OriginalSensitivity
0030 SystemTime ReplyTime
0036 Integer Sensitivity
0037 String Subject
0039 SystemTime ClientSubmitTime
003b Binary SentRepresentingSearchKey
003d String SubjectPrefix
003f Binary ReceivedByEntryId
0040 String ReceivedByName
0041 Binary SentRepresentingEntryId
0042 String SentRepresentingName
0043 Binary ReceivedRepresentingEntryId
0044 String ReceivedRepresentingName
004f Binary ReplyRecipientEntries
0050 String ReplyRecipientNames
0051 Binary ReceivedBySearchKey
0052 Binary ReceivedRepresentingSearchKey
0057 Boolean MessageToMe
0058 Boolean MessageCcMe
0059 Boolean MessageRecipientMe
0063 Boolean ResponseRequested
0064 String SentRepresentingAddressType
0065 String SentRepresentingEmailAddress
0070 String ConversationTopic
0071 Binary ConversationIndex
0075 String ReceivedByAddressType
0076 String ReceivedByEmailAddress
007d String TransportMessageHeaders
0c17 Boolean ReplyRequested
0c19 Binary SenderEntryId
0c1a String SenderName
0c1d Binary SenderSearchKey
0c1e String SenderAddressType
0c1f String SenderEmailAddress
0e01 Boolean DeleteAfterSubmit
0e02 String DisplayBcc
0e03 String DisplayCc
0e04 String DisplayTo
0e06 SystemTime MessageDeliveryTime
0e07 Integer MessageFlags
0e08 Integer MessageSize
0e17 Integer MessageStatus
0e1b Boolean HasAttachments
0e1d String NormalizedSubject
0e1f Boolean RtfInSync
0e23 Integer InternetArticleNumber
0e28 String PrimarySendAccount
0e29 String NextSendAcct
0e2b Integer ToDoItemFlags
0e2c Binary SwappedToDoStore
0e2d Binary SwappedToDoData
0e79 Integer TrustSender
1000 String Body
1009 Binary RtfCompressed
1013 Binary Html
1016 Integer NativeBody
1035 String InternetMessageId
1039 String InternetReferences
1042 String InReplyToId
1043 String ListHelp
1044 String ListSubscribe
1045 String ListUnsubscribe
1046 String OriginalMessageId
1080 Integer IconIndex
1081 Integer LastVerbExecuted
1082 SystemTime LastVerbExecutionTime
1090 Integer FlagStatus
1091 SystemTime FlagCompleteTime
1095 Integer FollowupIcon
1096 Integer BlockStatus
10c3 SystemTime ICalendarStartTime
10c4 SystemTime ICalendarEndTime
10f4 Boolean AttributeHidden
3007 SystemTime CreationTime
3008 SystemTime LastModificationTime
300b Binary SearchKey
3010 Binary TargetEntryId
3013 Binary ConversationId
3016 Boolean ConversationIndexTracking
3018 Binary ArchiveTag
3019 Binary PolicyTag
301a Integer RetentionPeriod
301c SystemTime RetentionDate
301d Integer RetentionFlags
301e Integer ArchivePeriod
301f SystemTime ArchiveDate
3fde Integer InternetCodepage
3ff1 Integer MessageLocaleId
3ff8 String CreatorName
3ff9 Binary CreatorEntryId
3ffa String LastModifierName
3ffb Binary LastModifierEntryId
3ffd Integer MessageCodepage
4019 Integer SenderFlags
401a Integer SentRepresentingFlags
4076 Integer ContentFilterSpamConfidenceLevel
4079 Integer SenderIdStatus
5902 Integer InternetMailOverrideFormat
5909 Integer MessageEditorFormat
5d01 String SenderSmtpAddress
5d02 String SentRepresentingSmtpAddress
5d07 String ReceivedBySmtpAddress
65e0 Binary SourceKey
65e1 Binary ParentSourceKey
65e2 Binary ChangeKey
65e3 Binary PredecessorChangeList
"""
#: What Outlook keeps of reminders and follow-up, and whether it shows a paper clip.
_COMMON = """
8502 SystemTime ReminderTime
8503 Boolean ReminderSet
8506 Boolean Private
8510 Integer SideEffects
8514 Boolean SmartNoAttach
8516 SystemTime CommonStart
8517 SystemTime CommonEnd
8530 String FlagRequest
8560 SystemTime ReminderSignalTime
85a0 SystemTime ToDoOrdinalDate
85a4 String ToDoTitle
"""


def tagged() -> Iterator[tuple[str, str, str]]:
    """Four hexadecimal digits, type and name of each that has a tag."""
    yield from _rows(_TAGGED)


def common() -> Iterator[tuple[str, str, str]]:
    """The same of those that have a number within PSETID_Common."""
    yield from _rows(_COMMON)


def uncompressed_rtf(text: str) -> str:
    """A body for PidTagRtfCompressed, which need not be compressed [MS-OXRTFCP 2.1.3.1]; as base64."""
    rtf = rf"{{\rtf1\ansi\deff0{{\fonttbl{{\f0 Arial;}}}}\f0\fs20 \b {text}\b0\par}}".encode("ascii")
    sizes = (len(rtf) + 12).to_bytes(4, "little") + len(rtf).to_bytes(4, "little")
    return base64.b64encode(sizes + b"MELA" + bytes(4) + rtf).decode()


def _rows(table: str) -> Iterator[tuple[str, str, str]]:
    for row in table.split("\n")[1:-1]:
        number, kind, name = row.split()
        yield number, kind, name
