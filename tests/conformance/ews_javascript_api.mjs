// A client in JavaScript walks the folders, opens a message, loads its attachment, updates it, synchronises, and listens
// to a stream: until it closes by its time-out, and again after that.
import ews from "ews-javascript-api";

const { url, user, password, control, eml } = JSON.parse(process.argv[2]);
const service = new ews.ExchangeService(ews.ExchangeVersion.Exchange2016);
service.Credentials = new ews.WebCredentials(user, password);
service.Url = new ews.Uri(url);
const told = {};

const walked = new ews.FolderView(100);
walked.Traversal = ews.FolderTraversal.Deep;
const folders = await service.FindFolders(ews.WellKnownFolderName.MsgFolderRoot, walked);
told.folders = folders.Folders.map((folder) => folder.DisplayName).sort();

const inbox = await ews.Folder.Bind(service, ews.WellKnownFolderName.Inbox);
const found = await service.FindItems(ews.WellKnownFolderName.Inbox, new ews.ItemView(10));
told.found = [found.TotalCount, found.MoreAvailable];

const message = found.Items[0];
const wanted = [ews.ItemSchema.Attachments, ews.ItemSchema.Body];
await message.Load(new ews.PropertySet(ews.BasePropertySet.FirstClassProperties, wanted));
const attachment = message.Attachments.Items[0];
await attachment.Load();
told.read = [message.Subject, message.Body.Text.trim(), attachment.Name, attachment.Base64Content];

message.Subject = "changed";
await message.Update(ews.ConflictResolutionMode.NeverOverwrite);
told.changed = (await ews.EmailMessage.Bind(service, message.Id)).Subject;

const normal = ews.SyncFolderItemsScope.NormalItems;
const changes = await service.SyncFolderItems(inbox.Id, ews.PropertySet.IdOnly, null, 10, normal, null);
told.changes = [changes.Count, changes.MoreChangesAvailable];

const subscription = await service.SubscribeToStreamingNotifications([inbox.Id], ews.EventType.NewMail);
const connection = new ews.StreamingSubscriptionConnection(service, 1);
connection.AddSubscription(subscription);
const next = (handlers) => new Promise((resolve) => handlers.push((_, told) => (handlers.pop(), resolve(told))));
const deliver = { method: "POST", body: JSON.stringify({ deliver: { mailbox: user, eml } }) };

told.heard = [];
for (let times = 0; times < 2; times++) {
  const heard = next(connection.OnNotificationEvent).then(({ Events: [event] }) => [event, connection.IsOpen]);
  const closed = next(connection.OnDisconnect).then(({ Exception: error }) => [connection.IsOpen, error]);
  connection.Open(); // Its promise is never kept.
  await fetch(control, deliver);
  const [event, open] = await heard;
  const { Subject: subject } = await ews.EmailMessage.Bind(service, event.ItemId);
  told.heard.push([ews.EventType[event.EventType], subject, open, ...(await closed)]);
}

console.log(JSON.stringify(told));
process.exit(0);
