"""Microsoft Graph v1.0, with the logins of Entra."""
