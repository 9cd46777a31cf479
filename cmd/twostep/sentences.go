package main

// sentence is one sentence of the page that describes the feature. Site stands for
// the name of the service, Domain for the host of its sign-in page.
type sentence struct {
	text string
	try  func(*visitor) error // nil: not yet
}

// sentences are all of them, in the order of the page.
func sentences() []sentence {
	app, text := once(appProves), once(smsArrives)
	return []sentence{
		{"2-Step verification adds an extra level of protection to your account.", passwordIsNotEnough},
		{"When signing into {Site} you'll be required to provide your email and password as well as a security code which can be sent to either your Email, SMS or an Authenticator App on your phone.", threeMethods},
		{"It is recommended that you set up an additional option besides Email.", anotherIsRecommended},

		{"2-Step with Email: This is the default 2-Step verification method available on all {Site} accounts.", emailIsTheDefault},
		{"When signing in on a device that has not been previously trusted, {Site} will send a verification code to the email address used to sign in.", codeIsSent},
		{"The code sent to your email is valid for 15 mins.", codeIsValid},
		{"A code entered after 15 mins will return an error that the incorrect code was entered.", codeExpires},

		{"You can optionally add an Authenticator app to your phone for 2-Step verification.", appIsOptional},
		{"Download an authenticator app (we suggest Google Authenticator or Microsoft Authenticator)", appIsSuggested},
		{"Browse to Settings -> Billing & Admin", menuLeads},
		{"Select 2-Step Auth App which will open in a new window", opensWindow("2-Step Auth App", appPage)},
		{"Scan QR Code to Sync app with {Site}", appScans},
		{"Enter passcode provided in the Authenticator App", app},
		{"Note: the code will be verified automatically when you enter 6 characters.", appVerifiesItself},
		{"Once verified the click Continue to return to {Site}.", app},
		{"When a Auth App has been configured on your account you can choose to send a verification code via any of your configured Authenticator methods.", appIsOffered},

		{"You can optionally add a phone number for 2-Step verification via SMS.", smsIsOptional},
		{"Only one phone number can be linked to your log in for 2-Step verification.", text},
		{"To add or edit your phone number for 2-Step verification you must first be signed in to {Site}.", smsNeedsSession},
		{"Select 2-Step SMS Number which will open in a new window", opensWindow("2-Step SMS Number", smsPage)},
		{"Select your Country/Region from the dropdown and enter your Phone number", smsFields},
		{"Note: the number provided must be able to receive a text message (SMS)", smsNeedsMobile},
		{"Click Send Code: We'll send a text message (SMS) with a verification code to your phone.", text},
		{"Enter this code in the field provided.", text},
		{"Note: the code will be verified automatically when you enter 6 characters. (SMS)", text},
		{"Once verified the click Continue to return to {Site}. (SMS)", text},
		{"When a phone number has been configured on your account you can choose to send a verification code via any of your configured Authenticator methods.", text},

		{"You can optionally skip 2-Step verification for up to 30 days.", nil},
		{"During sign in simply click the checkbox labelled, Trust this device for 30 days.", nil},
		{"When you use this option {Site} adds a record to your browsers storage that identifies your device on the current network.", nil},
		{"This record stores the following details: Public IP Address, User Agent (browser), Timestamp.", nil},
		{"If you move locations with the same device like from between home and office for example then these 2 locations will require separate validation.", nil},
		{"If you visit a new location that you've not validated before like a clients office, this will require separate validation.", nil},
		{"If your internet service provider (ISP) changes your public IP address you will be required to validate the new IP address.", nil},
		{"Signing in from a different browser on the same machine will require separate validation.", nil},
		{"Signing in from a different machine will require separate validation.", nil},
		{"Once the timestamp is greater then 30 days old, a new validation will be required.", nil},
		{"Check that all of the above remains the same each time you sign in before progressing to the next troubleshooting steps.", nil},
		{"To Save the trusted record you will need to allow the browser to save data for the sign in domain {Domain}.", nil},
		{"Check the browser settings to ensure it is allowing local data to be saved and is not being cleared when you close the browser.", nil},
		{"Chrome: Browse to Settings -> Privacy and security -> Cookies and other site data.", nil},
		{"Edge: Browse to Settings -> Privacy, search, and services.", nil},
		{"Firefox: Browse to Options -> Privacy & Security.", nil},
		{"Safari: Browse to Safari -> Preferences -> Privacy.", nil},
	}
}

// once is for sentences that are true of one walk, which is then taken once.
func once(try func(*visitor) error) func(*visitor) error {
	var err error
	var done bool
	return func(v *visitor) error {
		if !done {
			err, done = try(v), true
		}
		return err
	}
}

// wrongCode is what a wrong, an expired and a used code are answered with.
const wrongCode = "The verification code you have entered does not match our records. Please try again, or request a new code."
