// A client in JavaScript reads, loads an attachment, updates, synchronises and hears of a deletion.
import ews from "ews-javascript-api";

const [url, user, password] = process.argv.slice(2);
const service = new ews.ExchangeService(ews.ExchangeVersion.Exchange2016);
service.Credentials = new ews.WebCredentials(user, password);
service.Url = new ews.Uri(url);
const told = {};

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

const kinds = [ews.EventType.Deleted, ews.EventType.Moved];
const subscription = await service.SubscribeToStreamingNotifications([inbox.Id], ...kinds);
const connection = new ews.StreamingSubscriptionConnection(service, 1);
connection.AddSubscription(subscription);
const heard = new Promise((resolve, reject) => {
  connection.OnNotificationEvent.push((_, event) => resolve(ews.EventType[event.Events[0].EventType]));
  connection.OnSubscriptionError.push((_, error) => reject(error));
});
connection.Open();
setTimeout(() => message.Delete(ews.DeleteMode.MoveToDeletedItems), 500);
told.heard = await heard;

console.log(JSON.stringify(told));
process.exit(0);
