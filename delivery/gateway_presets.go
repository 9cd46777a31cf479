package delivery

import (
	"net/url"
	"strings"
)

// Twilio returns a Gateway for Twilio Programmable Messaging. from is an E.164 number, a sender
// name, or the SID of a messaging service (MG…). Twilio has no idempotency key for messages.
func Twilio(sid, token, from string) Gateway {
	sender := "From"
	if strings.HasPrefix(from, "MG") {
		sender = "MessagingServiceSid"
	}
	return Gateway{
		Name: "twilio",
		URL:  "https://api.twilio.com/2010-04-01/Accounts/" + url.PathEscape(sid) + "/Messages.json",
		Auth: AuthBasic, User: sid, Secret: token, From: from,
		Fields: map[string]any{"To": "{to}", sender: "{from}", "Body": "{text}"},
		Accept: []ResponseRule{{Status: 201, Field: "sid", Pattern: "^[A-Z]{2}[0-9a-f]{32}$"}},
		// Invalid number, not reachable, region not enabled, opted out (STOP), not verified for a
		// trial account, or not a mobile number.
		Reject: []ResponseRule{{Status: 400, Field: "code",
			Pattern: "^(21211|21214|21217|21408|21608|21610|21612|21614)$"}},
		ErrorCodePattern: `"code": ?([0-9]+)`,
		CallbackFields:   map[string]any{"StatusCallback": "{callback}"},
		StateField:       "MessageStatus",
		StateMap: map[string]string{"delivered": StateDelivered, "read": StateDelivered,
			"undelivered": StateFailed, "failed": StateFailed, "canceled": StateFailed},
		TwilioSigned: true,
	}
}

// Vonage returns a Gateway for the Vonage SMS API. from is a number or a sender name. The message
// ID is sent as client-ref, which Vonage shows but does not use to detect duplicates.
func Vonage(key, secret, from string) Gateway {
	return Gateway{
		Name: "vonage",
		URL:  "https://rest.nexmo.com/sms/json",
		User: key, Secret: secret, From: from,
		Fields: map[string]any{"api_key": "{user}", "api_secret": "{secret}", "from": "{from}",
			"to": "{digits}", "text": "{text}", "client-ref": "{id}"},
		Accept: []ResponseRule{{Status: 200, Field: "messages.0.status", Pattern: "^0$"}},
		// Invalid parameter (most likely the number), invalid message, barred or deactivated
		// number.
		Reject:           []ResponseRule{{Status: 200, Field: "messages.0.status", Pattern: "^(3|6|7|33|34)$"}},
		ErrorCodePattern: `"status": ?"([0-9]+)"`,
		CallbackFields:   map[string]any{"callback": "{callback}"},
		StateField:       "status",
		StateMap: map[string]string{"delivered": StateDelivered, "failed": StateFailed,
			"rejected": StateFailed, "expired": StateFailed},
	}
}

// SNS returns a Gateway for Amazon Simple Notification Service that sends transactional messages.
// sender is a sender name where the country allows one; "" leaves the choice to Amazon. SNS sends
// no receipts.
func SNS(region, accessKey, secret, sender string) Gateway {
	host := "sns." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	fields := map[string]any{
		"Action": "Publish", "Version": "2010-03-31", "PhoneNumber": "{to}", "Message": "{text}",
		"MessageAttributes.entry.1.Name":              "AWS.SNS.SMS.SMSType",
		"MessageAttributes.entry.1.Value.DataType":    "String",
		"MessageAttributes.entry.1.Value.StringValue": "Transactional",
	}
	if sender != "" {
		fields["MessageAttributes.entry.2.Name"] = "AWS.SNS.SMS.SenderID"
		fields["MessageAttributes.entry.2.Value.DataType"] = "String"
		fields["MessageAttributes.entry.2.Value.StringValue"] = "{from}"
	}
	return Gateway{
		Name: "sns",
		URL:  "https://" + host + "/",
		Auth: AuthSigV4, User: accessKey, Secret: secret, Region: region, Service: "sns", From: sender,
		Fields: fields,
		Accept: []ResponseRule{{Status: 200, Pattern: "<MessageId>[^<]+</MessageId>"}},
		Reject: []ResponseRule{
			{Status: 400, Pattern: "<Code>(InvalidParameter|ParameterValueInvalid|InvalidParameterValue)</Code>(?s:.*)PhoneNumber"},
			{Pattern: "<Code>OptedOut(Exception)?</Code>"},
		},
		ErrorCodePattern: "<Code>([A-Za-z]+)</Code>",
	}
}

// Kannel returns a Gateway for the sendsms interface of a Kannel smsbox, and through it for SMPP.
// address is the URL of the smsbox, like http://127.0.0.1:13013; it may be in a private network.
// Kannel takes its fields only in the query string and logs it: protect its access log.
func Kannel(address, user, password, from string) Gateway {
	if u, err := url.Parse(address); err == nil && strings.Trim(u.Path, "/") == "" {
		address = u.JoinPath("/cgi-bin/sendsms").String()
	}
	return Gateway{
		Name: "kannel", Method: "GET", URL: address, Encoding: EncodingQuery, AllowPrivate: true,
		User: user, Secret: password, From: from,
		Fields: map[string]any{"username": "{user}", "password": "{secret}", "from": "{from}", "to": "{to}",
			"text": "{text}", "charset": "UTF-8", "coding": "0"},
		Accept: []ResponseRule{{Status: 202, Pattern: "^(0: Accepted|3: Queued)"}},
		Reject: []ResponseRule{{Pattern: "denied by white- and/or black-lists|^Empty receiver number"}},
		// Kannel replaces %d with the kind of report; 31 asks for all kinds.
		CallbackFields: map[string]any{"dlr-mask": "31", "dlr-url": "{callback}?state=%d"},
		StateField:     "state",
		StateMap:       map[string]string{"1": StateDelivered, "2": StateFailed, "16": StateFailed},
	}
}
